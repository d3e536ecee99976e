package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sort"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// container-metrics serves, under the names and labels of cAdvisor and the kubelet, what those would measure if the containers
// and volumes existed. SIMULATED: limits and capacities are the live objects' own; use comes from annotations (simulation.go).
// A container without the annotation uses 40 % of its limit, or 64 MiB; a volume without it is a fifth full.
const (
	usualMemoryShare = 0.4
	usualMemoryBytes = 64 << 20
	usualVolumeShare = 0.2
)

func runContainerMetrics() {
	var kubeconfig, listen string
	parseFlags(func(flags *flag.FlagSet) {
		flags.StringVar(&kubeconfig, "kubeconfig", "", "the cluster whose objects are read")
		flags.StringVar(&listen, "listen", "127.0.0.1:8082", "address and port of /metrics")
	})
	c := connect(kubeconfig)
	http.HandleFunc("GET /metrics", func(answer http.ResponseWriter, _ *http.Request) {
		answer.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		c.writeMetrics(answer, time.Now())
	})
	server := &http.Server{Addr: listen, ReadHeaderTimeout: 5 * time.Second}
	die("%v", server.ListenAndServe())
}

// families collects samples by metric, since the exposition format wants each metric's samples together.
type families map[string]*bytes.Buffer

var help = map[string]string{
	"container_memory_working_set_bytes":   "Current working set of the container in bytes (simulated).",
	"container_spec_memory_limit_bytes":    "Memory limit for the container.",
	"http_server_requests_per_second":      "Requests that the pod answers in a second, of the 100 that it can (simulated).",
	"kubelet_volume_stats_available_bytes": "Number of available bytes in the volume (simulated).",
	"kubelet_volume_stats_capacity_bytes":  "Capacity in bytes of the volume.",
	"kubelet_volume_stats_used_bytes":      "Number of used bytes in the volume (simulated).",
}

func (f families) add(name, labelText string, value int64) {
	if f[name] == nil {
		f[name] = &bytes.Buffer{}
		fmt.Fprintf(f[name], "# HELP %s %s\n# TYPE %s gauge\n", name, help[name], name)
	}
	fmt.Fprintf(f[name], "%s{%s} %d\n", name, labelText, value)
}

func (c *cluster) writeMetrics(out io.Writer, now time.Time) {
	samples := families{}
	pods, _ := c.pods.List(labels.Everything())
	for _, pod := range pods {
		if pod.Status.Phase == corev1.PodRunning {
			addContainers(samples, pod)
		}
	}
	addRequests(samples, pods)
	claims, _ := c.claims.List(labels.Everything())
	for _, claim := range claims {
		if claim.Status.Phase == corev1.ClaimBound {
			addVolume(samples, claim, now)
		}
	}
	names := make([]string, 0, len(samples))
	for name := range samples {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		samples[name].WriteTo(out)
	}
}

func addContainers(samples families, pod *corev1.Pod) {
	for i := range pod.Spec.Containers {
		limit := memoryLimit(pod, i)
		used := int64(usualMemoryBytes)
		if limit > 0 {
			used = int64(usualMemoryShare * float64(limit))
		}
		if needs := quantity(pod.Annotations, memoryNeeds); i == 0 && needs > 0 {
			used = needs
			if limit > 0 {
				used = min(needs, limit)
			}
		}
		labelText := fmt.Sprintf("container=%q,image=%q,namespace=%q,node=%q,pod=%q",
			pod.Spec.Containers[i].Name, pod.Spec.Containers[i].Image, pod.Namespace, pod.Spec.NodeName, pod.Name)
		samples.add("container_memory_working_set_bytes", labelText, used)
		samples.add("container_spec_memory_limit_bytes", labelText, limit)
	}
}

// addRequests is what the applications themselves would report: a pod that is ready takes its share of its workload's requests.
func addRequests(samples families, pods []*corev1.Pod) {
	sharing := map[types.UID]int64{}
	ready := slices.DeleteFunc(slices.Clone(pods), func(pod *corev1.Pod) bool { return !isReady(pod) })
	for _, pod := range ready {
		sharing[ownerOf(pod)]++
	}
	for _, pod := range ready {
		if requests := quantity(pod.Annotations, requestRate); requests > 0 {
			labelText := fmt.Sprintf("namespace=%q,pod=%q", pod.Namespace, pod.Name)
			samples.add("http_server_requests_per_second", labelText, requests/sharing[ownerOf(pod)])
		}
	}
}

func isReady(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp == nil && slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

func ownerOf(pod *corev1.Pod) types.UID {
	if owner := metav1.GetControllerOf(pod); owner != nil {
		return owner.UID
	}
	return pod.UID
}

func addVolume(samples families, claim *corev1.PersistentVolumeClaim, now time.Time) {
	capacity := claim.Status.Capacity.Storage().Value()
	used := int64(usualVolumeShare * float64(capacity))
	if stated := quantity(claim.Annotations, volumeUsed); stated > 0 {
		used = stated
	}
	used += int64(now.Sub(claim.CreationTimestamp.Time).Seconds() * float64(quantity(claim.Annotations, volumeFills)))
	used = min(used, capacity)
	labelText := fmt.Sprintf("namespace=%q,persistentvolumeclaim=%q", claim.Namespace, claim.Name)
	samples.add("kubelet_volume_stats_capacity_bytes", labelText, capacity)
	samples.add("kubelet_volume_stats_used_bytes", labelText, used)
	samples.add("kubelet_volume_stats_available_bytes", labelText, capacity-used)
}
