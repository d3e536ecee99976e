package main

import (
	"flag"
	"fmt"
	"os"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/clientcmd"
)

// What a test says of a pod or a claim where there is no container and no disk to look at. All are annotations.
const (
	annotationPrefix = "test.prometheus-alerts-slm.io/"

	// Of a pod: how much memory its first container needs, as a quantity. A limit below it has the container killed
	// (OOMKilled, CrashLoopBackOff, a restart every few seconds) until the limit is raised.
	memoryNeeds = annotationPrefix + "memory-needs"
	// Of a pod: "infeasible" or "deferred": an in-place resize is not carried out, and a condition says so.
	resizeOutcome = annotationPrefix + "resize"
	// Of a pod: how many requests a second its whole workload gets, as a quantity. The running pods of one owner share them.
	requestRate = annotationPrefix + "requests-per-second"

	// Of a claim: "fails": an expansion ends as infeasible; "never": nobody answers it. Otherwise it completes.
	expansionOutcome = annotationPrefix + "expansion"
	// Of a claim: how long an expansion takes, as a duration; one second unless given.
	expansionTime = annotationPrefix + "expansion-time"
	// Of a claim: the bytes in use, as a quantity, and the bytes added each second since the claim was made.
	volumeUsed  = annotationPrefix + "volume-used"
	volumeFills = annotationPrefix + "volume-fills-per-second"
)

// cluster is a live copy of the pods and claims, and the clients that keep it.
type cluster struct {
	client  kubernetes.Interface
	dynamic dynamic.Interface
	pods    corelisters.PodLister
	claims  corelisters.PersistentVolumeClaimLister
}

// connect blocks until the copy is complete, and ends the process where there is no API server to copy from.
func connect(kubeconfig string) *cluster {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		die("the kubeconfig %s cannot be used: %v", kubeconfig, err)
	}
	config.QPS, config.Burst = 200, 400
	config.UserAgent = "test-controller"
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		die("no client from the kubeconfig %s: %v", kubeconfig, err)
	}
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithTransform(withoutManagedFields))
	core := factory.Core().V1()
	untyped, err := dynamic.NewForConfig(config)
	if err != nil {
		die("no client from the kubeconfig %s: %v", kubeconfig, err)
	}
	c := &cluster{client: client, dynamic: untyped, pods: core.Pods().Lister(), claims: core.PersistentVolumeClaims().Lister()}
	forever := make(chan struct{})
	factory.Start(forever)
	factory.WaitForCacheSync(forever)
	return c
}

func withoutManagedFields(object any) (any, error) {
	if accessor, err := meta.Accessor(object); err == nil {
		accessor.SetManagedFields(nil)
	}
	return object, nil
}

// quantity reads an annotation; 0 where it is absent or not a quantity.
func quantity(annotations map[string]string, name string) int64 {
	parsed, err := resource.ParseQuantity(annotations[name])
	if err != nil {
		return 0
	}
	return parsed.Value()
}

// memoryLimit is what the kubelet would enforce now: the status where the container has one, since an in-place resize is in
// force only when it has been carried out. 0: no limit.
func memoryLimit(pod *corev1.Pod, index int) int64 {
	for i := range pod.Status.ContainerStatuses {
		status := &pod.Status.ContainerStatuses[i]
		if status.Name == pod.Spec.Containers[index].Name && status.Resources != nil {
			return status.Resources.Limits.Memory().Value()
		}
	}
	return pod.Spec.Containers[index].Resources.Limits.Memory().Value()
}

func parseFlags(define func(*flag.FlagSet)) {
	flags := flag.NewFlagSet(os.Args[0], flag.ExitOnError)
	define(flags)
	flags.Parse(os.Args[1:])
	if flags.NArg() > 0 {
		die("%q is no option: try --help", flags.Arg(0))
	}
}

func die(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, "%s: %s\n", os.Args[0], fmt.Sprintf(format, arguments...))
	os.Exit(1)
}
