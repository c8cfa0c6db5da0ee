package offline

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// quotas is the only custom kind that is served.
var quotas = metav1.GroupVersionForDiscovery{GroupVersion: "autoscaling.x-k8s.io/v1alpha1", Version: "v1alpha1"}

// discovery has the answers about custom kinds by path. A client of built-in kinds knows them and does not ask.
var discovery = map[string]any{
	"/api": metav1.APIVersions{TypeMeta: kind("v1", "APIVersions"), Versions: []string{"v1"}},
	"/apis": metav1.APIGroupList{TypeMeta: kind("v1", "APIGroupList"), Groups: []metav1.APIGroup{{
		Name: "autoscaling.x-k8s.io", Versions: []metav1.GroupVersionForDiscovery{quotas}, PreferredVersion: quotas}}},
	"/apis/" + quotas.GroupVersion: metav1.APIResourceList{TypeMeta: kind("v1", "APIResourceList"), GroupVersion: quotas.GroupVersion,
		APIResources: []metav1.APIResource{{Name: "capacityquotas", Kind: "CapacityQuota", Verbs: metav1.Verbs{"list", "watch"}}}},
}
