// Command kube-state-metrics is the real one, from its own module. It stands in a module of its own because its newest release
// is written against Kubernetes libraries two minor versions older than the test cluster's, which no longer fit.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"k8s.io/klog/v2"
	"k8s.io/kube-state-metrics/v2/pkg/app"
	"k8s.io/kube-state-metrics/v2/pkg/options"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	opts := options.NewOptions()
	command := options.InitCommand
	command.Run = func(*cobra.Command, []string) {
		if err := app.RunKubeStateMetricsWrapper(ctx, opts); err != nil {
			klog.ErrorS(err, "kube-state-metrics ended")
			os.Exit(1)
		}
		os.Exit(0)
	}
	opts.AddFlags(command)
	if err := opts.Parse(); err != nil {
		klog.ErrorS(err, "the command line was not understood")
		os.Exit(2)
	}
	if err := opts.Validate(); err != nil {
		klog.ErrorS(err, "the options do not fit together")
		os.Exit(2)
	}
}
