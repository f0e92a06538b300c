package main

import (
	networking "k8s.io/api/networking/v1"
	"k8s.io/client-go/tools/cache"
)

// halves tells of policies for both directions as of two, one for each. The controller writes what
// lets into a pod and out of it into one chain for each policy, and asks that chain in both directions:
// of two pods under one policy it would let everything into the second that may leave the first.
type halves struct{ cache.SharedIndexInformer }

func (policies halves) GetIndexer() cache.Indexer {
	return halfIndexer{policies.SharedIndexInformer.GetIndexer()}
}

// halfIndexer is all that the controller reads policies with, and List all that it calls.
type halfIndexer struct{ cache.Indexer }

func (policies halfIndexer) List() []any {
	var all []any
	for _, object := range policies.Indexer.List() {
		policy, isPolicy := object.(*networking.NetworkPolicy)
		if !isPolicy || len(policy.Spec.PolicyTypes) < 2 {
			all = append(all, object)
			continue
		}
		for _, direction := range policy.Spec.PolicyTypes {
			half := policy.DeepCopy()
			half.Name += "/" + string(direction)
			half.Spec.PolicyTypes = []networking.PolicyType{direction}
			if direction == networking.PolicyTypeIngress {
				half.Spec.Egress = nil
			} else {
				half.Spec.Ingress = nil
			}
			all = append(all, half)
		}
	}
	return all
}
