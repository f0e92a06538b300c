// The twin: the least controller on controller-runtime that owns what the operator owns, to
// compare speed and memory in one run. It has the library's defaults: a cached client with
// informers of all owned kinds, and every child applied in every pass.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
)

// Passes under way at once: as many as in the operator.
const concurrency = 4

var lotoai = schema.GroupVersionKind{Group: "lotoai.dev", Version: "v1alpha1", Kind: "LotoAI"}

// template is what one resource stands for, as the operator plans it, with texts in the place of
// what differs between resources.
type template struct {
	Name      string            `json:"name"`
	Namespace string            `json:"namespace"`
	UID       string            `json:"uid"`
	Prompt    string            `json:"prompt"`
	Objects   []json.RawMessage `json:"objects"`
}

// of returns the children of a resource, in the order in which they are applied.
func (t *template) of(owner *unstructured.Unstructured) ([]*unstructured.Unstructured, error) {
	fill := strings.NewReplacer(
		t.Name, owner.GetName(),
		t.Namespace, owner.GetNamespace(),
		t.UID, string(owner.GetUID()),
		t.Prompt, prompt(owner),
	)
	children := make([]*unstructured.Unstructured, 0, len(t.Objects))
	for _, object := range t.Objects {
		child := &unstructured.Unstructured{}
		if err := json.Unmarshal([]byte(fill.Replace(string(object))), child); err != nil {
			return nil, err
		}
		children = append(children, child)
	}
	return children, nil
}

// prompt is the prompt of the first agent role: the field that the measurement edits.
func prompt(owner *unstructured.Unstructured) string {
	roles, _, _ := unstructured.NestedSlice(owner.Object, "spec", "agents", "roles")
	if len(roles) == 0 {
		return ""
	}
	role, _ := roles[0].(map[string]any)
	text, _ := role["prompt"].(string)
	return text
}

type reconciler struct {
	client.Client
	template template
}

// Reconcile applies all children, then says in the status which generation they are of.
func (r *reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	owner := resource()
	if err := r.Get(ctx, request.NamespacedName, owner); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	children, err := r.template.of(owner)
	if err != nil {
		return ctrl.Result{}, err
	}
	for _, child := range children {
		apply := client.ApplyConfigurationFromUnstructured(child)
		if err := r.Apply(ctx, apply, client.FieldOwner("twin"), client.ForceOwnership); err != nil {
			return ctrl.Result{}, fmt.Errorf("apply %s/%s: %w", child.GetKind(), child.GetName(), err)
		}
	}
	observed, _, _ := unstructured.NestedInt64(owner.Object, "status", "observedGeneration")
	if observed == owner.GetGeneration() {
		return ctrl.Result{}, nil
	}
	status := resource()
	status.SetName(owner.GetName())
	status.SetNamespace(owner.GetNamespace())
	status.Object["status"] = map[string]any{"observedGeneration": owner.GetGeneration()}
	apply := client.ApplyConfigurationFromUnstructured(status)
	return ctrl.Result{}, r.Status().Apply(ctx, apply, client.FieldOwner("twin-status"), client.ForceOwnership)
}

func resource() *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(lotoai)
	return object
}

func run(templatePath, metrics string) error {
	text, err := os.ReadFile(templatePath)
	if err != nil {
		return err
	}
	r := &reconciler{}
	if err := json.Unmarshal(text, &r.template); err != nil {
		return fmt.Errorf("read %s: %w", templatePath, err)
	}
	ctrl.SetLogger(logr.Discard())
	config, err := ctrl.GetConfig()
	if err != nil {
		return err
	}
	manager, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:  clientgoscheme.Scheme,
		Metrics: metricsserver.Options{BindAddress: metrics},
		// Without it an untyped resource is read from the server in every pass.
		Client: client.Options{Cache: &client.CacheOptions{Unstructured: true}},
	})
	if err != nil {
		return err
	}
	r.Client = manager.GetClient()
	err = ctrl.NewControllerManagedBy(manager).
		Named("twin").
		For(resource(), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Owns(&corev1.ServiceAccount{}).
		Owns(&corev1.Secret{}).
		Owns(&corev1.ConfigMap{}).
		Owns(&corev1.Service{}).
		Owns(&networkingv1.NetworkPolicy{}).
		Owns(&appsv1.StatefulSet{}).
		Owns(&appsv1.Deployment{}).
		Owns(&batchv1.Job{}).
		WithOptions(controller.Options{MaxConcurrentReconciles: concurrency}).
		Complete(r)
	if err != nil {
		return err
	}
	return manager.Start(ctrl.SetupSignalHandler())
}

func main() {
	templatePath := flag.String("template", "", "file with the objects of one resource")
	metrics := flag.String("metrics", "127.0.0.1:0", "address of /metrics")
	flag.Parse()
	if err := run(*templatePath, *metrics); err != nil {
		fmt.Fprintln(os.Stderr, "twin:", err)
		os.Exit(1)
	}
}
