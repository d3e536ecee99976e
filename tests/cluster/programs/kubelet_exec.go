package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	utilexec "k8s.io/utils/exec"
)

// kubelet-exec stands in for the exec part of a kubelet: the protocols, exit codes and refusals are the real ones (the
// library is the kubelet's own), the programs are canned. A command runs only if a file of its name lies in the folder
// of canned programs; that file is started with the command's arguments, never the host's program of that name.
//
//	kubelet-exec PORT CERT KEY FOLDER
//
// The node's annotation test.prometheus-alerts-slm.io/kubelet-port must say PORT before the node becomes Ready.
func runKubeletExec() {
	if len(os.Args) != 5 {
		fmt.Fprintln(os.Stderr, "usage: kubelet-exec PORT CERT KEY FOLDER")
		os.Exit(2)
	}
	server := &http.Server{Addr: "127.0.0.1:" + os.Args[1], Handler: http.HandlerFunc(serveKubelet)}
	fmt.Fprintln(os.Stderr, server.ListenAndServeTLS(os.Args[2], os.Args[3]))
	os.Exit(1)
}

// POST /exec/NAMESPACE/POD/CONTAINER?command=…&input=1&output=1&error=1
func serveKubelet(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if len(parts) != 4 || parts[0] != "exec" {
		http.NotFound(w, r)
		return
	}
	options, err := remotecommand.NewOptions(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	protocols := []string{"v4.channel.k8s.io"} // v5 is between client and API server, which translates
	remotecommand.ServeExec(w, r, canned{os.Args[4]}, parts[1]+"/"+parts[2], "", parts[3], r.URL.Query()["command"], options,
		time.Minute, 10*time.Second, protocols)
}

type canned struct{ folder string }

func (c canned) ExecInContainer(ctx context.Context, pod, _, container string, command []string, in io.Reader,
	out, errOut io.WriteCloser, _ bool, _ <-chan remotecommand.TerminalSize, _ time.Duration) error {
	program := filepath.Join(c.folder, filepath.Base(command[0]))
	if _, err := os.Stat(program); err != nil {
		return fmt.Errorf("exec: %q: executable file not found in $PATH", command[0])
	}
	process := exec.CommandContext(ctx, program, command[1:]...)
	process.Env = []string{"PATH=/usr/bin:/bin", "POD=" + pod, "CONTAINER=" + container}
	process.Stdin, process.Stdout, process.Stderr = in, out, errOut
	err := process.Run()
	if exit, ok := err.(*exec.ExitError); ok {
		return utilexec.CodeExitError{Err: err, Code: exit.ExitCode()}
	}
	return err
}
