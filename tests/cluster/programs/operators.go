package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// What foreign operators would answer to the objects that the actions write. SIMULATED: no snapshot, no backup, no switchover
// takes place; the statuses move as if. An object with the annotation operatorOutcome "never" is left alone, "fails" ends badly.
const operatorOutcome = annotationPrefix + "operator"

type operator struct {
	resource      schema.GroupVersionResource
	statusIsApart bool                                                                   // the CRD has a status subresource
	react         func(o *operators, object *unstructured.Unstructured, fails bool) bool // true: the object is to be written
}

var knownOperators = []operator{
	{resource: gvr("snapshot.storage.k8s.io", "v1", "volumesnapshots"), statusIsApart: true, react: (*operators).takeSnapshot},
	{resource: gvr("postgresql.cnpg.io", "v1", "backups"), statusIsApart: true, react: (*operators).takeDatabaseBackup},
	{resource: gvr("postgresql.cnpg.io", "v1", "clusters"), statusIsApart: true, react: (*operators).switchOver},
	{resource: gvr("velero.io", "v1", "backups"), react: (*operators).takeVeleroBackup},
	{resource: gvr("velero.io", "v1", "deletebackuprequests"), react: (*operators).deleteVeleroBackup},
	{resource: gvr("cert-manager.io", "v1", "certificates"), statusIsApart: true, react: (*operators).issueCertificate},
	{resource: gvr("external-secrets.io", "v1", "externalsecrets"), statusIsApart: true, react: (*operators).syncSecret},
	{resource: gvr("apps.openshift.io", "v1", "deploymentconfigs"), statusIsApart: true, react: (*operators).rollDeploymentConfig},
}

func gvr(group, version, resource string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: group, Version: version, Resource: resource}
}

// operators keeps a live copy of each kind from the moment its CRD is there.
type operators struct {
	client  kubernetes.Interface
	dynamic dynamic.Interface
	factory dynamicinformer.DynamicSharedInformerFactory
	crds    cache.GenericLister
	listers map[schema.GroupVersionResource]cache.GenericLister
}

func newOperators(c *cluster) *operators {
	factory := dynamicinformer.NewDynamicSharedInformerFactory(c.dynamic, 0)
	o := &operators{client: c.client, dynamic: c.dynamic, factory: factory, listers: map[schema.GroupVersionResource]cache.GenericLister{}}
	o.crds = factory.ForResource(gvr("apiextensions.k8s.io", "v1", "customresourcedefinitions")).Lister()
	factory.Start(context.Background().Done())
	factory.WaitForCacheSync(context.Background().Done())
	return o
}

func (o *operators) look() {
	for i := range knownOperators {
		known := &knownOperators[i]
		lister := o.listerOf(known.resource)
		if lister == nil {
			continue
		}
		objects, _ := lister.List(labels.Everything())
		for _, object := range objects {
			seen := object.(*unstructured.Unstructured)
			report(known.resource.Resource, seen.GetNamespace(), seen.GetName(), o.operate(known, seen.DeepCopy()))
		}
	}
}

func (o *operators) listerOf(resource schema.GroupVersionResource) cache.GenericLister {
	if o.listers[resource] == nil {
		object, err := o.crds.Get(resource.Resource + "." + resource.Group)
		if err != nil || conditionOf(object.(*unstructured.Unstructured), "Established") != "True" {
			return nil
		}
		o.listers[resource] = o.factory.ForResource(resource).Lister()
		o.factory.Start(context.Background().Done())
	}
	return o.listers[resource]
}

func (o *operators) operate(known *operator, object *unstructured.Unstructured) error {
	outcome := object.GetAnnotations()[operatorOutcome]
	if outcome == "never" || object.GetDeletionTimestamp() != nil || !known.react(o, object, outcome == "fails") {
		return nil
	}
	client := o.dynamic.Resource(known.resource).Namespace(object.GetNamespace())
	var err error
	if known.statusIsApart {
		_, err = client.UpdateStatus(context.TODO(), object, metav1.UpdateOptions{})
	} else {
		_, err = client.Update(context.TODO(), object, metav1.UpdateOptions{})
	}
	return err
}

// --- reactions ---------------------------------------------------------------------------------------------------------------

func (o *operators) takeSnapshot(object *unstructured.Unstructured, fails bool) bool {
	if _, begun := object.Object["status"]; begun {
		return false
	}
	if fails {
		setStatus(object, map[string]any{"readyToUse": false, "error": map[string]any{"message": "the driver took no snapshot (simulated)", "time": nowText()}})
		return true
	}
	claimName, _, _ := unstructured.NestedString(object.Object, "spec", "source", "persistentVolumeClaimName")
	size := "1Gi"
	if claim, err := o.client.CoreV1().PersistentVolumeClaims(object.GetNamespace()).Get(context.TODO(), claimName, metav1.GetOptions{}); err == nil {
		size = claim.Status.Capacity.Storage().String()
	} else if claimName != "" {
		return false // a snapshot of a claim that does not exist waits for it, as the real controller does
	}
	setStatus(object, map[string]any{
		"boundVolumeSnapshotContentName": "snapcontent-" + string(object.GetUID()),
		"creationTime":                   nowText(), "readyToUse": true, "restoreSize": size,
	})
	return true
}

func (o *operators) takeDatabaseBackup(object *unstructured.Unstructured, fails bool) bool {
	if _, begun := object.Object["status"]; begun {
		return false
	}
	if fails {
		setStatus(object, map[string]any{"phase": "failed", "error": "no backup was taken (simulated)"})
		return true
	}
	setStatus(object, map[string]any{"phase": "completed", "backupId": object.GetName(), "startedAt": nowText(), "stoppedAt": nowText()})
	return true
}

func (o *operators) switchOver(object *unstructured.Unstructured, fails bool) bool {
	current, _, _ := unstructured.NestedString(object.Object, "status", "currentPrimary")
	target, _, _ := unstructured.NestedString(object.Object, "status", "targetPrimary")
	if target == "" || current == target || fails {
		return false
	}
	unstructured.SetNestedField(object.Object, target, "status", "currentPrimary")
	unstructured.SetNestedField(object.Object, nowText(), "status", "currentPrimaryTimestamp")
	unstructured.SetNestedField(object.Object, "Cluster in healthy state", "status", "phase")
	unstructured.RemoveNestedField(object.Object, "status", "phaseReason")
	return true
}

func (o *operators) takeVeleroBackup(object *unstructured.Unstructured, fails bool) bool {
	if phase, _, _ := unstructured.NestedString(object.Object, "status", "phase"); phase != "" {
		return false
	}
	if fails {
		setStatus(object, map[string]any{"phase": "Failed", "failureReason": "no backup was taken (simulated)"})
		return true
	}
	setStatus(object, map[string]any{"phase": "Completed", "startTimestamp": nowText(), "completionTimestamp": nowText()})
	return true
}

// deleteVeleroBackup removes the backup and then the request, as Velero does.
func (o *operators) deleteVeleroBackup(object *unstructured.Unstructured, _ bool) bool {
	name, _, _ := unstructured.NestedString(object.Object, "spec", "backupName")
	namespace := object.GetNamespace()
	err := o.dynamic.Resource(gvr("velero.io", "v1", "backups")).Namespace(namespace).Delete(context.TODO(), name, metav1.DeleteOptions{})
	if err == nil || apierrors.IsNotFound(err) {
		err = o.dynamic.Resource(gvr("velero.io", "v1", "deletebackuprequests")).Namespace(namespace).Delete(context.TODO(), object.GetName(), metav1.DeleteOptions{})
	}
	report("deletebackuprequests", namespace, object.GetName(), err)
	return false
}

func (o *operators) issueCertificate(object *unstructured.Unstructured, fails bool) bool {
	if conditionOf(object, "Issuing") != "True" {
		return false
	}
	if fails {
		setConditionOf(object, "Issuing", "False", "Failed", "the issuer refused (simulated)")
		unstructured.SetNestedField(object.Object, nowText(), "status", "lastFailureTime")
		return true
	}
	name, _, _ := unstructured.NestedString(object.Object, "spec", "secretName")
	if err := o.writeSecret(object.GetNamespace(), name, "tls.crt", "tls.key"); err != nil {
		return false
	}
	revision, _, _ := unstructured.NestedInt64(object.Object, "status", "revision")
	setConditionOf(object, "Issuing", "", "", "")
	setConditionOf(object, "Ready", "True", "Ready", "Certificate is up to date and has not expired")
	unstructured.SetNestedField(object.Object, revision+1, "status", "revision")
	unstructured.SetNestedField(object.Object, nowText(), "status", "notBefore")
	unstructured.SetNestedField(object.Object, time.Now().Add(90*24*time.Hour).UTC().Format(time.RFC3339), "status", "notAfter")
	return true
}

// syncSecret follows any change of spec, labels or annotations, the annotation force-sync among them.
func (o *operators) syncSecret(object *unstructured.Unstructured, fails bool) bool {
	sum := fnv.New32a()
	fmt.Fprint(sum, object.GetLabels(), object.GetAnnotations())
	version := fmt.Sprintf("%d-%x", object.GetGeneration(), sum.Sum32())
	if synced, _, _ := unstructured.NestedString(object.Object, "status", "syncedResourceVersion"); synced == version {
		return false
	}
	name, _, _ := unstructured.NestedString(object.Object, "spec", "target", "name")
	if name == "" {
		name = object.GetName()
	}
	if fails {
		setConditionOf(object, "Ready", "False", "SecretSyncedError", "the store did not answer (simulated)")
	} else if err := o.writeSecret(object.GetNamespace(), name, "token"); err != nil {
		return false
	} else {
		setConditionOf(object, "Ready", "True", "SecretSynced", "secret synced")
		unstructured.SetNestedField(object.Object, nowText(), "status", "refreshTime")
	}
	unstructured.SetNestedField(object.Object, version, "status", "syncedResourceVersion")
	return true
}

// rollDeploymentConfig: the pods themselves are not there.
func (o *operators) rollDeploymentConfig(object *unstructured.Unstructured, fails bool) bool {
	wanted, _, _ := unstructured.NestedInt64(object.Object, "spec", "replicas")
	generation := object.GetGeneration()
	observed, _, _ := unstructured.NestedInt64(object.Object, "status", "observedGeneration")
	if observed == generation || fails {
		return false
	}
	version, _, _ := unstructured.NestedInt64(object.Object, "status", "latestVersion")
	setStatus(object, map[string]any{
		"observedGeneration": generation, "latestVersion": max(version, 1), "replicas": wanted, "updatedReplicas": wanted,
		"availableReplicas": wanted, "readyReplicas": wanted, "unavailableReplicas": int64(0),
	})
	return true
}

// --- their tools -------------------------------------------------------------------------------------------------------------

// writeSecret gives each key a new random value, in a Secret that is made where there is none.
func (o *operators) writeSecret(namespace, name string, keys ...string) error {
	data := map[string][]byte{}
	for _, key := range keys {
		random := make([]byte, 16)
		rand.Read(random)
		data[key] = []byte(hex.EncodeToString(random))
	}
	secrets := o.client.CoreV1().Secrets(namespace)
	secret, err := secrets.Get(context.TODO(), name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		secret = &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}, Data: data}
		_, err = secrets.Create(context.TODO(), secret, metav1.CreateOptions{})
		return err
	}
	if err == nil {
		secret.Data = data
		_, err = secrets.Update(context.TODO(), secret, metav1.UpdateOptions{})
	}
	return err
}

func setStatus(object *unstructured.Unstructured, status map[string]any) {
	object.Object["status"] = status
}

func conditionOf(object *unstructured.Unstructured, kind string) string {
	conditions, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
	for _, condition := range conditions {
		if fields, ok := condition.(map[string]any); ok && fields["type"] == kind {
			status, _ := fields["status"].(string)
			return status
		}
	}
	return ""
}

// setConditionOf replaces the condition of that type; an empty status removes it.
func setConditionOf(object *unstructured.Unstructured, kind, status, reason, message string) {
	conditions, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
	kept := []any{}
	for _, condition := range conditions {
		if fields, ok := condition.(map[string]any); ok && fields["type"] != kind {
			kept = append(kept, fields)
		}
	}
	if status != "" {
		kept = append(kept, map[string]any{"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": nowText()})
	}
	unstructured.SetNestedSlice(object.Object, kept, "status", "conditions")
}

func nowText() string {
	return time.Now().UTC().Format(time.RFC3339)
}
