package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// test-controller does what kwok cannot, because it needs arithmetic over an object or a second object. SIMULATED here:
//
//   - a storage driver: a claim that asks for more than it has gets it, unless its annotations say otherwise;
//   - a kubelet: an in-place resize is carried out, and a container whose memory limit is below its needs is killed;
//   - foreign operators (operators.go).
//
// It looks at everything a few times a second instead of reacting to events: what it does then depends on nothing but the
// objects, and a write that lost a race is simply tried again at the next look.
const (
	lookEvery    = 250 * time.Millisecond
	restartEvery = 5 * time.Second
)

func runTestController() {
	var kubeconfig string
	parseFlags(func(flags *flag.FlagSet) { flags.StringVar(&kubeconfig, "kubeconfig", "", "the cluster to work on") })
	c := connect(kubeconfig)
	foreign := newOperators(c)
	for ; ; time.Sleep(lookEvery) {
		claims, _ := c.claims.List(labels.Everything())
		for _, claim := range claims {
			report("claim", claim.Namespace, claim.Name, c.expand(claim))
		}
		pods, _ := c.pods.List(labels.Everything())
		for _, pod := range pods {
			if pod.Status.Phase == corev1.PodRunning && pod.DeletionTimestamp == nil {
				report("pod", pod.Namespace, pod.Name, c.runPod(pod))
			}
		}
		foreign.look()
	}
}

func report(kind, namespace, name string, err error) {
	if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
		log.Printf("%s %s/%s: %v", kind, namespace, name, err)
	}
}

// --- claims ------------------------------------------------------------------------------------------------------------------

func (c *cluster) expand(claim *corev1.PersistentVolumeClaim) error {
	wanted, has := claim.Spec.Resources.Requests[corev1.ResourceStorage], claim.Status.Capacity[corev1.ResourceStorage]
	if claim.Status.Phase != corev1.ClaimBound || claim.DeletionTimestamp != nil || wanted.Cmp(has) <= 0 {
		return nil
	}
	switch claim.Annotations[expansionOutcome] {
	case "never":
		return nil
	case "fails":
		return c.refuseExpansion(claim.DeepCopy())
	}
	began := claimCondition(claim, corev1.PersistentVolumeClaimResizing)
	if began == nil {
		return c.beginExpansion(claim.DeepCopy())
	}
	duration, err := time.ParseDuration(claim.Annotations[expansionTime])
	if err != nil {
		duration = time.Second
	}
	if time.Since(began.LastTransitionTime.Time) < duration {
		return nil
	}
	return c.finishExpansion(claim.DeepCopy())
}

func (c *cluster) beginExpansion(claim *corev1.PersistentVolumeClaim) error {
	claim.Status.AllocatedResources = corev1.ResourceList{corev1.ResourceStorage: claim.Spec.Resources.Requests[corev1.ResourceStorage]}
	claim.Status.AllocatedResourceStatuses = map[corev1.ResourceName]corev1.ClaimResourceStatus{
		corev1.ResourceStorage: corev1.PersistentVolumeClaimControllerResizeInProgress,
	}
	claim.Status.Conditions = []corev1.PersistentVolumeClaimCondition{{
		Type: corev1.PersistentVolumeClaimResizing, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Now(),
	}}
	return c.updateClaim(claim, corev1.EventTypeNormal, "Resizing", "External resizer is resizing volume "+claim.Spec.VolumeName)
}

func (c *cluster) refuseExpansion(claim *corev1.PersistentVolumeClaim) error {
	if claim.Status.AllocatedResourceStatuses[corev1.ResourceStorage] == corev1.PersistentVolumeClaimControllerResizeInfeasible &&
		claim.Status.AllocatedResources.Storage().Equal(*claim.Spec.Resources.Requests.Storage()) {
		return nil
	}
	const message = "the storage backend has no room for the volume (simulated)"
	claim.Status.AllocatedResources = corev1.ResourceList{corev1.ResourceStorage: claim.Spec.Resources.Requests[corev1.ResourceStorage]}
	claim.Status.AllocatedResourceStatuses = map[corev1.ResourceName]corev1.ClaimResourceStatus{
		corev1.ResourceStorage: corev1.PersistentVolumeClaimControllerResizeInfeasible,
	}
	claim.Status.Conditions = []corev1.PersistentVolumeClaimCondition{{
		Type: corev1.PersistentVolumeClaimControllerResizeError, Status: corev1.ConditionTrue,
		LastTransitionTime: metav1.Now(), Reason: "VolumeResizeFailed", Message: message,
	}}
	return c.updateClaim(claim, corev1.EventTypeWarning, "VolumeResizeFailed", message)
}

// finishExpansion changes the volume before the claim, as a driver does: the claim's capacity is the sign that all is done.
func (c *cluster) finishExpansion(claim *corev1.PersistentVolumeClaim) error {
	volumes := c.client.CoreV1().PersistentVolumes()
	volume, err := volumes.Get(context.TODO(), claim.Spec.VolumeName, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("reading its volume: %w", err)
	}
	wanted := claim.Spec.Resources.Requests[corev1.ResourceStorage]
	volume.Spec.Capacity[corev1.ResourceStorage] = wanted
	if _, err := volumes.Update(context.TODO(), volume, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("enlarging its volume: %w", err)
	}
	claim.Status.Capacity[corev1.ResourceStorage] = wanted
	claim.Status.AllocatedResourceStatuses = nil
	claim.Status.Conditions = nil
	return c.updateClaim(claim, corev1.EventTypeNormal, "FileSystemResizeSuccessful", "MountVolume.NodeExpandVolume succeeded for volume "+volume.Name)
}

// updateClaim writes the status, and an Event only if that was possible, so that a lost race does not say things twice.
func (c *cluster) updateClaim(claim *corev1.PersistentVolumeClaim, eventType, reason, message string) error {
	if _, err := c.client.CoreV1().PersistentVolumeClaims(claim.Namespace).UpdateStatus(context.TODO(), claim, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("writing its status (%s): %w", reason, err)
	}
	now := metav1.Now()
	_, err := c.client.CoreV1().Events(claim.Namespace).Create(context.TODO(), &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{GenerateName: claim.Name + ".", Namespace: claim.Namespace},
		InvolvedObject: corev1.ObjectReference{APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID},
		Type:           eventType, Reason: reason, Message: message, Count: 1, FirstTimestamp: now, LastTimestamp: now,
		Source: corev1.EventSource{Component: "test-controller"},
	}, metav1.CreateOptions{})
	return err
}

func claimCondition(claim *corev1.PersistentVolumeClaim, kind corev1.PersistentVolumeClaimConditionType) *corev1.PersistentVolumeClaimCondition {
	for i := range claim.Status.Conditions {
		if claim.Status.Conditions[i].Type == kind {
			return &claim.Status.Conditions[i]
		}
	}
	return nil
}

// --- pods --------------------------------------------------------------------------------------------------------------------

func (c *cluster) runPod(seen *corev1.Pod) error {
	pod := seen.DeepCopy()
	resize(pod)
	enforceMemory(pod, time.Now())
	if equality.Semantic.DeepEqual(seen.Status, pod.Status) {
		return nil
	}
	_, err := c.client.CoreV1().Pods(pod.Namespace).UpdateStatus(context.TODO(), pod, metav1.UpdateOptions{})
	return err
}

// resize moves each container's resources in force to those that the spec asks for.
func resize(pod *corev1.Pod) {
	wanted := false
	for i := range pod.Spec.Containers {
		status := containerStatus(pod, pod.Spec.Containers[i].Name)
		if status == nil || status.Resources == nil || sameResources(status.Resources, &pod.Spec.Containers[i].Resources) {
			continue
		}
		wanted = true
		if pod.Annotations[resizeOutcome] == "" {
			status.Resources = pod.Spec.Containers[i].Resources.DeepCopy()
			status.AllocatedResources = status.Resources.Requests
		}
	}
	reason := map[string]string{"infeasible": corev1.PodReasonInfeasible, "deferred": corev1.PodReasonDeferred}[pod.Annotations[resizeOutcome]]
	if wanted && reason != "" {
		setCondition(pod, corev1.PodResizePending, corev1.ConditionTrue, reason)
	} else {
		dropCondition(pod, corev1.PodResizePending)
	}
}

func sameResources(a, b *corev1.ResourceRequirements) bool {
	return equality.Semantic.DeepEqual(a.Limits, b.Limits) && equality.Semantic.DeepEqual(a.Requests, b.Requests)
}

// enforceMemory kills the first container over and over while it needs more than its limit, and lets it run again when not.
func enforceMemory(pod *corev1.Pod, now time.Time) {
	needs, limit := quantity(pod.Annotations, memoryNeeds), memoryLimit(pod, 0)
	status := containerStatus(pod, pod.Spec.Containers[0].Name)
	if status == nil || needs == 0 {
		return
	}
	killed := status.LastTerminationState.Terminated
	looping := status.State.Waiting != nil && killed != nil && killed.Reason == "OOMKilled"
	switch tooMuch := limit > 0 && needs > limit; {
	case tooMuch && (!looping || now.Sub(killed.FinishedAt.Time) >= restartEvery):
		at := metav1.NewTime(now)
		status.RestartCount++
		status.Ready, status.Started = false, new(bool)
		status.LastTerminationState = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			ExitCode: 137, Reason: "OOMKilled", StartedAt: at, FinishedAt: at,
		}}
		status.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{
			Reason: "CrashLoopBackOff", Message: "back-off 5s restarting failed container",
		}}
		setReady(pod, corev1.ConditionFalse, "ContainersNotReady")
	case !tooMuch && looping:
		started := true
		status.Ready, status.Started = true, &started
		status.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(now)}}
		setReady(pod, corev1.ConditionTrue, "")
	}
}

func containerStatus(pod *corev1.Pod, name string) *corev1.ContainerStatus {
	for i := range pod.Status.ContainerStatuses {
		if pod.Status.ContainerStatuses[i].Name == name {
			return &pod.Status.ContainerStatuses[i]
		}
	}
	return nil
}

func setReady(pod *corev1.Pod, status corev1.ConditionStatus, reason string) {
	setCondition(pod, corev1.PodReady, status, reason)
	setCondition(pod, corev1.ContainersReady, status, reason)
}

func setCondition(pod *corev1.Pod, kind corev1.PodConditionType, status corev1.ConditionStatus, reason string) {
	wanted := corev1.PodCondition{Type: kind, Status: status, Reason: reason, LastTransitionTime: metav1.Now()}
	for i := range pod.Status.Conditions {
		condition := &pod.Status.Conditions[i]
		if condition.Type != kind {
			continue
		}
		if condition.Status != status || condition.Reason != reason {
			*condition = wanted
		}
		return
	}
	pod.Status.Conditions = append(pod.Status.Conditions, wanted)
}

func dropCondition(pod *corev1.Pod, kind corev1.PodConditionType) {
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == kind {
			pod.Status.Conditions = append(pod.Status.Conditions[:i], pod.Status.Conditions[i+1:]...)
			return
		}
	}
}
