#!/usr/bin/env bash
# The test cluster: a real Kubernetes control plane on loopback, with kwok in the place of the kubelets. Several may run at
# once, each with a folder of its own. README.md beside this file says what is real and what is simulated.
#
#   cluster.sh up [DIR]              start one, print the path of its admin kubeconfig
#   cluster.sh down [DIR]            stop exactly what `up` and `metrics` started there; logs and audit.log stay
#   cluster.sh objects [DIR]         apply crds/ and objects/, wait until everything is rolled out
#   cluster.sh metrics [DIR]         start kube-state-metrics and container-metrics, print their two URLs
#   cluster.sh user NAME [DIR]       a client certificate for user NAME, without any right; prints its kubeconfig
#   cluster.sh writes USER [DIR]     the writes of USER that took effect, from audit.log: verb, resource, namespace/name
#   cluster.sh status [DIR]          what runs, with its resident memory; non-zero if something does not
#   cluster.sh kubectl ARG…          kubectl of the same version, as admin of the cluster in $CLUSTER_DIR
#
# DIR is $CLUSTER_DIR, or build/cluster/run. `up` in a folder whose cluster runs starts it anew. DIR afterwards holds
#   kubeconfig  admin's            audit.log  JSON lines, see audit-policy.yaml     env  KUBECONFIG, ports: to be sourced
#   pki/        CA and keys        *.log      of each program                       *.pid
#
# CLUSTER_NODES: how many nodes (4). CLUSTER_OWNER: a process whose end ends the cluster too, so that a killed test leaves none.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tree=$(cd "$here/../.." && pwd)

say() { printf 'cluster: %s\n' "$*" >&2; }
die() { say "$@"; exit 1; }
now_ms() { date +%s%3N; }

use_dir() { # use_dir [DIR]: sets the folder and what lies in it
	run=${1:-${CLUSTER_DIR:-$tree/build/cluster/run}}
	[[ $run == /* ]] || run=$PWD/$run
	pki=$run/pki
}

# --- processes ---------------------------------------------------------------------------------------------------------------
# A .pid file holds the pid and the kernel's start time of that process, so that a number used again is never signalled.
started_at() { # started_at <pid>: field 22 of its stat; the name before it may hold blanks
	local stat
	{ read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
	stat=${stat##*) }
	set -- $stat
	echo "${20}"
}
is_running() { # is_running <pid file>
	local pid began
	read -r pid began <"$1" && [ "$(started_at "$pid")" = "$began" ]
} 2>/dev/null

start() { # start <name> <command…>
	local name=$1 pid
	shift
	setsid "$@" </dev/null >"$run/$name.log" 2>&1 9>&- &
	pid=$!
	echo "$pid $(started_at "$pid")" >"$run/$name.pid"
	disown
}

stop_all() { # SIGKILL: nothing here is worth the API server's slow end
	local file pid rest
	for file in "$run"/*.pid; do
		[ -s "$file" ] || continue
		read -r pid rest <"$file"
		if [ "$pid" != $$ ] && is_running "$file"; then kill -9 "$pid" 2>/dev/null || true; fi
		rm -f "$file"
	done
}

until_ok() { # until_ok <seconds> <what> <command…>: and no program may end meanwhile
	local deadline=$((SECONDS + $1)) what=$2 file
	shift 2
	until "$@" >/dev/null 2>&1; do
		for file in "$run"/*.pid; do
			is_running "$file" || { show_end_of "${file%.pid}.log"; return 1; }
		done
		((SECONDS < deadline)) || { say "$what: not there in time; the logs are in $run"; return 1; }
		sleep 0.05
	done
}
show_end_of() {
	say "$(basename "$1" .log) ended early; the last lines of $1:"
	tail -n 5 "$1" >&2
}

# Ports outside the range that the kernel gives to outgoing connections, at which nobody answers now.
pick_ports() { # pick_ports <how many>: sets ports
	local port
	ports=()
	while ((${#ports[@]} < $1)); do
		port=$((20000 + RANDOM % 12000))
		[[ " ${ports[*]} " != *" $port "* ]] || continue
		! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || continue
		ports+=("$port")
	done
}

# --- certificates ------------------------------------------------------------------------------------------------------------
# One CA for all; P-256, whose keys are made in milliseconds.
certificate() { # certificate <name> <subject> <use> [<alternative names>]
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$pki/$1.key" -subj "$2" 2>/dev/null |
		openssl x509 -req -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -set_serial "0x$(openssl rand -hex 8)" -days 2 -out "$pki/$1.crt" \
			-extfile <(printf 'keyUsage=critical,digitalSignature\nextendedKeyUsage=%s\n' "$3"; [ -z "${4:-}" ] || echo "subjectAltName=$4") 2>/dev/null
}
certificates() {
	local pids=() pid
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$pki/ca.key" -out "$pki/ca.crt" \
		-subj /CN=test-cluster-ca -days 2 -addext keyUsage=critical,digitalSignature,keyCertSign,cRLSign 2>/dev/null
	certificate apiserver /CN=kube-apiserver serverAuth \
		DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,IP:127.0.0.1,IP:10.96.0.1 & pids+=($!)
	certificate kubelet /CN=kubelet serverAuth DNS:localhost,IP:127.0.0.1 & pids+=($!)
	certificate admin /O=system:masters/CN=admin clientAuth & pids+=($!)
	certificate controller-manager /CN=system:kube-controller-manager clientAuth & pids+=($!)
	certificate scheduler /CN=system:kube-scheduler clientAuth & pids+=($!)
	certificate component /O=system:masters/O=test-cluster:components/CN=test-cluster clientAuth & pids+=($!)
	certificate front-proxy /CN=front-proxy clientAuth & pids+=($!)
	{ openssl ecparam -name prime256v1 -genkey -noout -out "$pki/tokens.key" && openssl ec -in "$pki/tokens.key" -pubout -out "$pki/tokens.pub"; } 2>/dev/null & pids+=($!)
	for pid in "${pids[@]}"; do wait "$pid" || die "openssl failed; try: openssl version"; done
}
kubeconfig() { # kubeconfig <file> <certificate's name>
	cat >"$run/$1" <<-YAML
		apiVersion: v1
		kind: Config
		clusters: [{name: test, cluster: {server: "$api", certificate-authority: "$pki/ca.crt"}}]
		users: [{name: $2, user: {client-certificate: "$pki/$2.crt", client-key: "$pki/$2.key"}}]
		contexts: [{name: test, context: {cluster: test, user: $2, namespace: default}}]
		current-context: test
	YAML
	chmod 600 "$run/$1"
}

# --- the control plane -------------------------------------------------------------------------------------------------------
start_etcd() {
	start etcd "$bin/etcd" --name=test --data-dir="$run/etcd" --unsafe-no-fsync --log-level=warn \
		--listen-client-urls="http://127.0.0.1:$port_etcd" --advertise-client-urls="http://127.0.0.1:$port_etcd" \
		--listen-peer-urls="http://127.0.0.1:$port_peer" --initial-advertise-peer-urls="http://127.0.0.1:$port_peer" \
		--initial-cluster="test=http://127.0.0.1:$port_peer"
}
# No endpoint reconciler: it refuses a loopback address. The request-header flags let a test register an aggregated API, and
# without them the other components log an error at every retry of reading them.
start_apiserver() {
	start kube-apiserver "$bin/kube-apiserver" --etcd-servers="http://127.0.0.1:$port_etcd" \
		--bind-address=127.0.0.1 --advertise-address=127.0.0.1 --secure-port="$port_api" --endpoint-reconciler-type=none \
		--tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" --client-ca-file="$pki/ca.crt" \
		--requestheader-client-ca-file="$pki/ca.crt" --requestheader-allowed-names=front-proxy \
		--requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
		--requestheader-extra-headers-prefix=X-Remote-Extra- \
		--proxy-client-cert-file="$pki/front-proxy.crt" --proxy-client-key-file="$pki/front-proxy.key" \
		--kubelet-client-certificate="$pki/component.crt" --kubelet-client-key="$pki/component.key" \
		--kubelet-certificate-authority="$pki/ca.crt" --kubelet-preferred-address-types=InternalIP \
		--service-account-issuer=https://kubernetes.default.svc \
		--service-account-key-file="$pki/tokens.pub" --service-account-signing-key-file="$pki/tokens.key" \
		--authorization-mode=Node,RBAC --service-cluster-ip-range=10.96.0.0/16 --allow-privileged=true --profiling=false \
		--audit-policy-file="$here/audit-policy.yaml" --audit-log-path="$run/audit.log" --audit-log-maxsize=2000 --audit-log-mode=blocking
}
# The default limits of 20 requests/s make a namespace's ServiceAccount take 5 s. Short periods, so that tests need not wait for
# an autoscaler's bound (2 s) or a NotReady node's taint (1 s).
start_controllers() {
	start kube-controller-manager "$bin/kube-controller-manager" --kubeconfig="$run/controller-manager.kubeconfig" \
		--secure-port=0 --leader-elect=false --profiling=false --kube-api-qps=300 --kube-api-burst=600 \
		--use-service-account-credentials=true --service-account-private-key-file="$pki/tokens.key" --root-ca-file="$pki/ca.crt" \
		--cluster-signing-cert-file="$pki/ca.crt" --cluster-signing-key-file="$pki/ca.key" --allocate-node-cidrs=false \
		--horizontal-pod-autoscaler-sync-period=2s --node-monitor-period=1s
	start kube-scheduler "$bin/kube-scheduler" --kubeconfig="$run/scheduler.kubeconfig" \
		--secure-port=0 --leader-elect=false --profiling=false --kube-api-qps=300 --kube-api-burst=600
	start kwok "$bin/kwok" --kubeconfig="$run/component.kubeconfig" --config="$run/kwok.yaml" --manage-all-nodes \
		--cidr=10.244.0.0/16 --node-ip=127.0.0.1 --node-port="$port_kubelet" --server-address="127.0.0.1:$port_kubelet" \
		--tls-cert-file="$pki/kubelet.crt" --tls-private-key-file="$pki/kubelet.key" --node-lease-duration-seconds=40
	[ ! -e "$bin/test-controller" ] || start test-controller "$bin/test-controller" --kubeconfig="$run/component.kubeconfig"
}
# kwok's exec would run a pod's command on this very machine: no ClusterExec here, so that every exec is refused.
kwok_configuration() {
	printf '%s stdout F first line of a simulated log\n%s stdout F last line of a simulated log\n' \
		"$(date -u +%FT%T.%NZ)" "$(date -u +%FT%T.%NZ)" >"$run/pod.log"
	printf '%s stdout F the container before this one\n' "$(date -u +%FT%T.%NZ)" >"$run/pod-previous.log"
	cat "$here/stages.yaml"
	cat <<-YAML
		---
		apiVersion: kwok.x-k8s.io/v1alpha1
		kind: ClusterLogs
		metadata: {name: all}
		spec: {logs: [{logsFile: "$run/pod.log", previousLogsFile: "$run/pod-previous.log"}]}
	YAML
}
nodes() { # a Node for each of CLUSTER_NODES, in two zones
	local i
	for ((i = 1; i <= ${CLUSTER_NODES:-4}; i++)); do
		cat <<-YAML
			---
			apiVersion: v1
			kind: Node
			metadata:
			  name: node-$i
			  labels:
			    kubernetes.io/hostname: node-$i
			    kubernetes.io/os: linux
			    kubernetes.io/arch: amd64
			    topology.kubernetes.io/zone: zone-$((i % 2 + 1))
			    node-role.kubernetes.io/worker: ""
			status:
			  capacity: {cpu: "32", memory: 128Gi, ephemeral-storage: 200Gi, pods: "330"}
			  allocatable: {cpu: "32", memory: 127Gi, ephemeral-storage: 190Gi, pods: "330"}
		YAML
	done
}

admin() { "$bin/kubectl" --kubeconfig="$run/kubeconfig" --cache-dir="$run/cache" "$@"; }
answers() { curl -fsS --cacert "$pki/ca.crt" --cert "$pki/admin.crt" --key "$pki/admin.key" "$api$1"; }

start_all() {
	pick_ports 4
	port_etcd=${ports[0]} port_peer=${ports[1]} port_api=${ports[2]} port_kubelet=${ports[3]}
	api=https://127.0.0.1:$port_api
	kubeconfig kubeconfig admin
	kubeconfig controller-manager.kubeconfig controller-manager
	kubeconfig scheduler.kubeconfig scheduler
	kubeconfig component.kubeconfig component
	kwok_configuration >"$run/kwok.yaml"
	start_etcd
	start_apiserver
	until_ok 120 "the API server" answers /readyz || return 1
	start_controllers
	nodes | admin apply -f - >/dev/null
	admin wait --for=condition=Ready node --all --timeout=60s >/dev/null
	until_ok 60 "the default ServiceAccount" answers /api/v1/namespaces/default/serviceaccounts/default
}

cmd_up() {
	local began=$(now_ms) attempt
	use_dir "${1:-}"
	bin=$("$here/build.sh")
	stop_all
	rm -rf "$run"
	mkdir -p "$pki"
	chmod 700 "$run"
	trap stop_all EXIT
	certificates
	for attempt in 1 2 3; do # again only where another program took one of the ports in between
		! start_all || break
		stop_all
		rm -rf "$run/etcd"
		((attempt < 3)) && grep -qs 'address already in use' "$run"/*.log || die "the cluster did not start"
	done
	cat >"$run/env" <<-ENV
		export KUBECONFIG=$run/kubeconfig CLUSTER_DIR=$run CLUSTER_API=$api
		export CLUSTER_ETCD=http://127.0.0.1:$port_etcd CLUSTER_KUBELET_PORT=$port_kubelet
		export CLUSTER_AUDIT_LOG=$run/audit.log CLUSTER_BIN=$bin
	ENV
	[ -z "${CLUSTER_OWNER:-}" ] || start owner bash -c 'tail --pid="$1" -f /dev/null; exec "$2" down "$3"' - "$CLUSTER_OWNER" "$here/cluster.sh" "$run"
	trap - EXIT
	say "up in $(($(now_ms) - began)) ms, ${CLUSTER_NODES:-4} nodes; stop it with: $here/cluster.sh down $run"
	echo "$run/kubeconfig"
}

cmd_down() {
	use_dir "${1:-}"
	stop_all
	rm -rf "$run/etcd"
}

need_running() { # need_running [DIR]
	use_dir "${1:-}"
	[ -s "$run/env" ] && is_running "$run/kube-apiserver.pid" || die "no cluster runs in $run: start it with $here/cluster.sh up $run"
	. "$run/env"
	bin=$CLUSTER_BIN api=$CLUSTER_API
}

# Applied in this order: CRDs, the rest, then what needs another field manager or the status subresource.
cmd_objects() {
	local began=$(now_ms)
	need_running "${1:-}"
	admin apply --server-side --force-conflicts --field-manager=kubectl -f "$here/crds" >/dev/null
	admin wait --for=condition=Established crd --all --timeout=30s >/dev/null
	admin apply -f "$here/objects" >/dev/null
	admin apply --server-side --force-conflicts --field-manager=argocd-controller -f "$here/objects/as-argocd" >/dev/null
	admin apply --server-side --force-conflicts --field-manager=kustomize-controller -f "$here/objects/as-flux" >/dev/null
	admin apply --server-side --field-manager=operators --force-conflicts --subresource=status -f "$here/objects/status" >/dev/null
	until_ok 120 "the rollouts" rolled_out
	say "objects applied and rolled out in $(($(now_ms) - began)) ms"
}
rolled_out() {
	admin get deployments,statefulsets,daemonsets,horizontalpodautoscalers,persistentvolumeclaims -A -o json | jq -e 'all(.items[];
		if .kind == "DaemonSet" then .status.desiredNumberScheduled > 0 and .status.numberAvailable == .status.desiredNumberScheduled
		elif .kind == "HorizontalPodAutoscaler" then .status.desiredReplicas >= .spec.minReplicas
		elif .kind == "PersistentVolumeClaim" then .status.phase == "Bound"
		else .status.observedGeneration == .metadata.generation and .status.updatedReplicas == .spec.replicas and .status.availableReplicas == .spec.replicas end)'
}

cmd_metrics() {
	need_running "${1:-}"
	pick_ports 3
	start container-metrics "$bin/container-metrics" --kubeconfig="$run/component.kubeconfig" --listen="127.0.0.1:${ports[0]}"
	start kube-state-metrics "$("$here/build.sh" state-metrics)/kube-state-metrics" --kubeconfig="$run/component.kubeconfig" \
		--host=127.0.0.1 --port="${ports[1]}" --telemetry-host=127.0.0.1 --telemetry-port="${ports[2]}"
	echo "export CLUSTER_CONTAINER_METRICS=127.0.0.1:${ports[0]} CLUSTER_STATE_METRICS=127.0.0.1:${ports[1]}" >>"$run/env"
	until_ok 60 container-metrics curl -fsS "http://127.0.0.1:${ports[0]}/metrics"
	until_ok 60 kube-state-metrics curl -fsS "http://127.0.0.1:${ports[2]}/readyz"
	echo "http://127.0.0.1:${ports[1]}/metrics"
	echo "http://127.0.0.1:${ports[0]}/metrics"
}

cmd_user() {
	[[ ${1:-} =~ ^[a-z0-9][a-z0-9.-]*$ ]] || die "user: give a name of lower-case letters, digits, dots and dashes"
	need_running "${2:-}"
	certificate "$1" "/CN=$1" clientAuth
	kubeconfig "$1.kubeconfig" "$1"
	echo "$run/$1.kubeconfig"
}

cmd_writes() { # a dry run has no effect, and neither has what was refused
	[ -n "${1:-}" ] || die "writes: give a user's name; the kubeconfig of cluster.sh up is admin's"
	use_dir "${2:-}"
	jq -r --arg user "$1" 'select(.stage == "ResponseComplete" and .user.username == $user and .responseStatus.code < 300)
		| select(.verb | IN("create", "update", "patch", "delete", "deletecollection"))
		| select((.requestURI | test("[?&]dryRun=") | not) and ((.requestObject.dryRun // .requestObject.deleteOptions.dryRun // []) == []))
		| select(.objectRef.resource | IN("selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews") | not)
		| "\(.verb) \(.objectRef.resource)\(if .objectRef.subresource then "/" + .objectRef.subresource else "" end) \(.objectRef.namespace // "-")/\(.objectRef.name // .responseObject.metadata.name // "-")"' \
		"$run/audit.log"
}

cmd_status() {
	local file pid rest bad=0
	use_dir "${1:-}"
	for file in "$run"/*.pid; do
		[ -s "$file" ] || die "no cluster in $run"
		read -r pid rest <"$file"
		if is_running "$file"; then
			echo "$(basename "$file" .pid) pid $pid $(awk '/^VmRSS/ { print int($2 / 1024) " MiB" }' "/proc/$pid/status")"
		else
			echo "$(basename "$file" .pid) pid $pid ended"
			bad=1
		fi
	done
	return $bad
}

cmd_kubectl() {
	need_running
	admin "$@"
}

command=${1:-}
[ $# = 0 ] || shift
case $command in
up | down | objects | metrics | user | writes | status | kubectl) "cmd_$command" "$@" ;;
*)
	sed -n '/^#   cluster.sh/s/^# *//p' "${BASH_SOURCE[0]}" >&2
	exit 2
	;;
esac
