#!/usr/bin/env bash
# Proves, against a cluster of its own, that the calls which the product relies on are answered as a real cluster answers them.
#
#   check.sh            start a cluster, apply the objects, check, stop; the last line is "N passed, M failed"
set -uo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/cluster-check.XXXXXX")
trap '"$here/cluster.sh" down "$work/run"; rm -rf "$work"' EXIT
export CLUSTER_OWNER=$$
"$here/cluster.sh" up "$work/run" >/dev/null && "$here/cluster.sh" objects "$work/run" || exit 1
. "$work/run/env"
"$here/cluster.sh" user tester >/dev/null

passed=0 failed=0
check() { # check <what> <command…>
	local what=$1
	shift
	if "$@" >"$work/out" 2>&1; then
		passed=$((passed + 1))
		echo "ok    $what"
	else
		failed=$((failed + 1))
		echo "FAIL  $what"
		head -c 600 "$work/out" | sed 's/^/        /'
		echo
	fi
}

kubectl() { "$CLUSTER_BIN/kubectl" --cache-dir="$work/cache" "$@"; }
# call <user> <wanted status> <wanted text> <method> <path> [<media type> <body>]: one request, as a client without kubectl sends it
call() {
	local user=$1 status=$2 text=$3 method=$4 path=$5 got
	got=$(curl -sS -o "$work/body" -w '%{http_code}' --max-time 20 --cacert "$CLUSTER_DIR/pki/ca.crt" \
		--cert "$CLUSTER_DIR/pki/$user.crt" --key "$CLUSTER_DIR/pki/$user.key" -X "$method" "$CLUSTER_API$path" \
		${6:+-H "Content-Type: $6"} ${7:+--data-binary "$7"})
	echo "$got"
	cat "$work/body"
	[ "$got" = "$status" ] && tr -d ' \n' <"$work/body" | grep -q -- "$text"
}
eventually() { # eventually <seconds> <command…>
	local deadline=$((SECONDS + $1))
	shift
	until "$@"; do
		((SECONDS < deadline)) || return 1
		sleep 0.2
	done
}
field_is() { # field_is <wanted> <jsonpath> <kubectl get's arguments…>
	local wanted=$1 path=$2
	shift 2
	[ "$(kubectl get "$@" -o jsonpath="$path")" = "$wanted" ]
}

json=application/json
merge=application/merge-patch+json
strategic=application/strategic-merge-patch+json
patch=application/json-patch+json
apply=application/apply-patch+yaml
core=/api/v1/namespaces/shop
apps=/apis/apps/v1/namespaces/shop
web=$apps/deployments/web

# --- writes ---------------------------------------------------------------------------------------------------------------
check "scale subresource: GET" call admin 200 '"replicas":3' GET $web/scale
check "scale subresource: merge patch" call admin 200 '"replicas":4' PATCH $web/scale $merge '{"spec":{"replicas":4}}'
check "the new pod runs" kubectl -n shop rollout status deploy/web --timeout=30s
check "strategic merge patch finds the container by name" call admin 200 '"memory":"300Mi"' PATCH "$web?fieldManager=check" $strategic \
	'{"spec":{"template":{"spec":{"containers":[{"name":"web","resources":{"limits":{"memory":"300Mi"}}}]}}}}'
check "JSON patch whose test holds" call admin 200 '"replicas":3' PATCH $web $patch \
	'[{"op":"test","path":"/spec/replicas","value":4},{"op":"replace","path":"/spec/replicas","value":3}]'
check "JSON patch whose test fails: 422" call admin 422 Invalid PATCH $web $patch '[{"op":"test","path":"/spec/replicas","value":99}]'
check "merge patch with an old resourceVersion: 409" call admin 409 Conflict PATCH $web $merge '{"metadata":{"resourceVersion":"1"},"spec":{"replicas":1}}'
check "server-side apply against another's field: 409" call admin 409 FieldManagerConflict PATCH "$web?fieldManager=probe&force=false" $apply \
	'{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web"},"spec":{"replicas":9}}'
check "dryRun=All answers with the change" call admin 200 '"replicas":7' PATCH "$web/scale?dryRun=All" $merge '{"spec":{"replicas":7}}'
check "dryRun=All stores nothing" call admin 200 '"spec":{"replicas":3}' GET $web/scale
check "fieldValidation=Strict refuses an unknown field" call admin 422 'unknownfield' PATCH "$web?fieldValidation=Strict" $merge '{"spec":{"replicaz":1}}'
check "replicas below zero: 422" call admin 422 Invalid PATCH $web $merge '{"spec":{"replicas":-1}}'
check "the rollout ends" kubectl -n shop rollout status deploy/web --timeout=30s

# --- who owns a field -----------------------------------------------------------------------------------------------------
check "the HPA owns cart's replicas" eventually 15 bash -c "'$CLUSTER_BIN/kubectl' -n shop get deploy cart -o json --show-managed-fields |
	jq -e '.metadata.managedFields[] | select(.manager == \"kube-controller-manager\" and .subresource == \"scale\")'"
check "Argo CD's field manager owns catalog's replicas" call admin 409 argocd-controller PATCH "$apps/deployments/catalog?fieldManager=probe&dryRun=All" $apply \
	'{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"catalog"},"spec":{"replicas":9}}'

# --- pods and nodes -------------------------------------------------------------------------------------------------------
pod_of() { kubectl -n shop get pods -l "app=$1" --field-selector=status.phase=Running -o jsonpath='{.items[0].metadata.name}'; }
eviction() { printf '{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"%s","namespace":"shop"}}' "$1"; }
pod=$(pod_of api)
check "eviction within the budget: 201" eventually 10 call admin 201 Success POST "$core/pods/$pod/eviction" $json "$(eviction "$pod")"
check "the evicted pod goes" kubectl -n shop wait --for=delete "pod/$pod" --timeout=20s
pod=$(pod_of checkout)
check "eviction against the budget: 429" call admin 429 DisruptionBudget POST "$core/pods/$pod/eviction" $json "$(eviction "$pod")"
check "a running pod is resized" call admin 200 '"memory":"192Mi"' PATCH "$core/pods/$pod/resize" $strategic \
	'{"spec":{"containers":[{"name":"checkout","resources":{"limits":{"memory":"192Mi"}}}]}}'
check "and its status follows" eventually 10 field_is 192Mi '{.status.containerStatuses[0].resources.limits.memory}' -n shop pod "$pod"
check "cordon" call admin 200 '"unschedulable":true' PATCH /api/v1/nodes/node-4 $merge '{"spec":{"unschedulable":true}}'
kubectl uncordon node-4 >/dev/null
kubectl label node node-4 test.prometheus-alerts-slm.io/ready=false >/dev/null
check "a node becomes NotReady and is tainted" eventually 15 bash -c "'$CLUSTER_BIN/kubectl' get node node-4 -o json | jq -e '.spec.taints[]? | select(.key == \"node.kubernetes.io/not-ready\")'"
kubectl label node node-4 test.prometheus-alerts-slm.io/ready- >/dev/null
check "and Ready again" kubectl wait --for=condition=Ready node/node-4 --timeout=15s
kubectl -n shop create deployment broken --image=registry.example/oom:1 >/dev/null
check "a pod in CrashLoopBackOff after OOMKilled" eventually 15 field_is 'CrashLoopBackOff OOMKilled' \
	'{.items[0].status.containerStatuses[0].state.waiting.reason} {.items[0].status.containerStatuses[0].lastState.terminated.reason}' -n shop pods -l app=broken
kubectl -n shop set image deploy/broken oom=registry.example/nopull:1 >/dev/null
check "a pod in ImagePullBackOff" eventually 15 bash -c "'$CLUSTER_BIN/kubectl' -n shop get pods -l app=broken | grep ImagePullBackOff"
check "exec is refused by kwok" bash -c "'$CLUSTER_BIN/kubectl' -n shop exec deploy/web -- true 2>&1 | grep -i 'no exec'"

# --- volumes ----------------------------------------------------------------------------------------------------------------
claims=$core/persistentvolumeclaims
larger='{"spec":{"resources":{"requests":{"storage":"2Gi"}}}}'
check "a claim may ask for more" call admin 200 '"storage":"2Gi"' PATCH $claims/uploads $merge "$larger"
check "and gets it" eventually 15 field_is 2Gi '{.status.capacity.storage}' -n shop pvc uploads
check "never for less: 422" call admin 422 Invalid PATCH $claims/uploads $merge '{"spec":{"resources":{"requests":{"storage":"1Gi"}}}}'
check "a class that does not expand: 403" call admin 403 Forbidden PATCH $claims/archive $merge "$larger"
call admin 200 '' PATCH $claims/stubborn $merge "$larger" >/dev/null
check "a driver that refuses" eventually 15 field_is ControllerResizeInfeasible '{.status.allocatedResourceStatuses.storage}' -n shop pvc stubborn

# --- reading, leases, events, rights --------------------------------------------------------------------------------------
version=$(curl -s --cacert "$CLUSTER_DIR/pki/ca.crt" --cert "$CLUSTER_DIR/pki/admin.crt" --key "$CLUSTER_DIR/pki/admin.key" \
	"$CLUSTER_API$core/configmaps?limit=1" | jq -r .metadata.resourceVersion)
call admin 200 '' GET "$core/configmaps?watch=1&resourceVersion=$version&timeoutSeconds=2" >"$work/watch" &
watcher=$!
sleep 0.3
kubectl -n shop create configmap seen >/dev/null
wait $watcher
check "a watch shows what is made after it began" grep -q '"ADDED".*"name":"seen"' "$work/watch"
lease=/apis/coordination.k8s.io/v1/namespaces/shop/leases
check "a lease is taken" call admin 201 '"holderIdentity":"a"' POST $lease $json \
	'{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"check"},"spec":{"holderIdentity":"a","leaseDurationSeconds":15}}'
check "and not with an old resourceVersion: 409" call admin 409 Conflict PUT $lease/check $json \
	'{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"check","resourceVersion":"1"},"spec":{"holderIdentity":"b"}}'
check "an Event is written" call admin 201 AlertAction POST $core/events $json '{"apiVersion":"v1","kind":"Event","metadata":{"name":"check.1","namespace":"shop"},
	"involvedObject":{"kind":"Deployment","name":"web","namespace":"shop"},"reason":"AlertAction","type":"Normal","firstTimestamp":"2026-01-01T00:00:00Z","lastTimestamp":"2026-01-01T00:00:00Z","count":1}'
check "a user without rights: 403" call tester 403 Forbidden PATCH $web/scale $merge '{"spec":{"replicas":1}}'
kubectl create clusterrole check --verb=patch --resource=deployments/scale >/dev/null
kubectl -n shop create rolebinding check --clusterrole=check --user=tester >/dev/null
check "the same user with the right" eventually 5 call tester 200 '"replicas":2' PATCH $web/scale $merge '{"spec":{"replicas":2}}'

# --- operators' kinds -------------------------------------------------------------------------------------------------------
check "a CRD's status subresource" call admin 200 '"targetPrimary":"orders-2"' PATCH /apis/postgresql.cnpg.io/v1/namespaces/databases/clusters/orders/status $merge '{"status":{"targetPrimary":"orders-2"}}'
check "the simulated operator switches over" eventually 5 field_is orders-2 '{.status.currentPrimary}' -n databases clusters.postgresql.cnpg.io orders
kubectl -n shop create -f - >/dev/null <<-YAML
	apiVersion: snapshot.storage.k8s.io/v1
	kind: VolumeSnapshot
	metadata: {name: check}
	spec: {volumeSnapshotClassName: snapshots, source: {persistentVolumeClaimName: archive}}
YAML
check "a snapshot becomes ready to use" eventually 5 field_is 'true 1Gi' '{.status.readyToUse} {.status.restoreSize}' -n shop volumesnapshot check
secret=$(kubectl -n shop get secret partner-token -o jsonpath='{.metadata.resourceVersion}')
kubectl -n shop annotate externalsecret partner force-sync=1 >/dev/null
check "an ExternalSecret is fetched anew" eventually 5 bash -c "[ \"\$('$CLUSTER_BIN/kubectl' -n shop get secret partner-token -o jsonpath='{.metadata.resourceVersion}')\" != '$secret' ]"
check "a CRD's scale subresource" call admin 200 '"replicas":3' PATCH /apis/apps.openshift.io/v1/namespaces/legacy/deploymentconfigs/ledger/scale $merge '{"spec":{"replicas":3}}'
check "a CRD's schema is enforced: 422" call admin 422 Invalid POST /apis/snapshot.storage.k8s.io/v1/namespaces/shop/volumesnapshots $json \
	'{"apiVersion":"snapshot.storage.k8s.io/v1","kind":"VolumeSnapshot","metadata":{"name":"s"},"spec":{"source":{}}}'
check "strategic merge on a custom resource: 415" call admin 415 '' PATCH /apis/keda.sh/v1alpha1/namespaces/shop/scaledobjects/worker $strategic '{"spec":{"maxReplicaCount":5}}'

# --- the record -------------------------------------------------------------------------------------------------------------
check "audit.log holds the one effect of tester, and not what was refused" bash -c "[ \"\$('$here/cluster.sh' writes tester)\" = 'patch deployments/scale shop/web' ]"
check "audit.log holds the body of that write" jq -en 'any(inputs; .user.username == "tester" and .responseStatus.code == 200 and .requestObject.spec.replicas == 2)' "$CLUSTER_AUDIT_LOG"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
