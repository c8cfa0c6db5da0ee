package podzone

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/ptr"
)

const (
	zoneKey = "topology.kubernetes.io/zone"
	betaKey = "failure-domain.beta.kubernetes.io/zone"
	ebsKey  = "topology.ebs.csi.aws.com/zone"
	idKey   = "topology.k8s.aws/zone-id"
)

// term is a node selector term of expressions of the form key, operator, value...
func term(expressions ...[]string) corev1.NodeSelectorTerm {
	var t corev1.NodeSelectorTerm
	for _, e := range expressions {
		t.MatchExpressions = append(t.MatchExpressions,
			corev1.NodeSelectorRequirement{Key: e[0], Operator: corev1.NodeSelectorOperator(e[1]), Values: e[2:]})
	}
	return t
}

func required(terms ...corev1.NodeSelectorTerm) *corev1.Affinity {
	return &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: terms}}}
}

func nameOf(id string) string {
	return map[string]string{"use1-az1": "us-east-1a", "use1-az2": "us-east-1b"}[id]
}

func TestTheOneZoneAPodNeeds(t *testing.T) {
	const affinity = "required node affinity"
	for _, tt := range []struct {
		name     string
		selector map[string]string
		affinity *corev1.Affinity
		volumes  []Constraint
		want     Need // none if empty
	}{
		{name: "says nothing"},
		{name: "node selector", selector: map[string]string{zoneKey: "us-east-1b"}, want: Need{Zone: "us-east-1b", Said: "nodeSelector " + zoneKey}},
		{name: "older label", selector: map[string]string{betaKey: "us-east-1b"}, want: Need{Zone: "us-east-1b", Said: "nodeSelector " + betaKey}},
		{name: "EBS label", selector: map[string]string{ebsKey: "us-east-1b"}, want: Need{Zone: "us-east-1b", Said: "nodeSelector " + ebsKey}},
		{name: "zone ID", selector: map[string]string{idKey: "use1-az2"}, want: Need{Zone: "us-east-1b", Said: "nodeSelector " + idKey}},
		{name: "zone ID nobody knows", selector: map[string]string{idKey: "use1-az9"}, want: Need{Zone: "use1-az9", Said: "nodeSelector " + idKey}},
		{name: "zone and its ID", selector: map[string]string{zoneKey: "us-east-1b", idKey: "use1-az2"}, want: Need{Zone: "us-east-1b", Said: "nodeSelector " + idKey}},
		{name: "another label", selector: map[string]string{"team": "us-east-1b"}},
		{name: "contradiction", selector: map[string]string{zoneKey: "us-east-1b", ebsKey: "us-east-1a"}},
		{name: "affinity to one", affinity: required(term([]string{zoneKey, "In", "us-east-1b"})), want: Need{Zone: "us-east-1b", Said: affinity}},
		{name: "the same, twice", affinity: required(term([]string{zoneKey, "In", "us-east-1b", "us-east-1b"})), want: Need{Zone: "us-east-1b", Said: affinity}},
		{name: "affinity to two", affinity: required(term([]string{zoneKey, "In", "us-east-1a", "us-east-1b"}))},
		{name: "two expressions leave one", affinity: required(term([]string{zoneKey, "In", "us-east-1a", "us-east-1b"}, []string{idKey, "In", "use1-az2", "use1-az3"})),
			want: Need{Zone: "us-east-1b", Said: affinity}},
		{name: "two terms, one zone", affinity: required(term([]string{zoneKey, "In", "us-east-1b"}, []string{"team", "In", "a"}), term([]string{ebsKey, "In", "us-east-1b"})),
			want: Need{Zone: "us-east-1b", Said: affinity}},
		{name: "two terms, two zones", affinity: required(term([]string{zoneKey, "In", "us-east-1a"}), term([]string{zoneKey, "In", "us-east-1b"}))},
		{name: "a term without a zone", affinity: required(term([]string{zoneKey, "In", "us-east-1b"}), term([]string{"team", "In", "a"}))},
		{name: "an empty term matches nothing", affinity: required(term([]string{zoneKey, "In", "us-east-1b"}), term()), want: Need{Zone: "us-east-1b", Said: affinity}},
		{name: "another expression refuses one of two", affinity: required(term([]string{zoneKey, "In", "us-east-1a", "us-east-1b"}, []string{idKey, "NotIn", "use1-az1"})),
			want: Need{Zone: "us-east-1b", Said: affinity}},
		{name: "operators that leave it open", affinity: required(term([]string{zoneKey, "Exists"}, []string{ebsKey, "NotIn", "us-east-1a"}))},
		{name: "preferred only", affinity: &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{
			{Weight: 1, Preference: term([]string{zoneKey, "In", "us-east-1b"})}}}}},
		{name: "volume", volumes: []Constraint{{"volume", []corev1.NodeSelectorTerm{term([]string{ebsKey, "In", "us-east-1b"})}}}, want: Need{Zone: "us-east-1b", Said: "volume", OfVolume: true}},
		{name: "volume narrows the affinity", affinity: required(term([]string{zoneKey, "In", "us-east-1a", "us-east-1b"})),
			volumes: []Constraint{{"volume", []corev1.NodeSelectorTerm{term([]string{ebsKey, "In", "us-east-1b"})}}}, want: Need{Zone: "us-east-1b", Said: "volume", OfVolume: true}},
		{name: "the affinity refuses one of a volume's two", affinity: required(term([]string{zoneKey, "NotIn", "us-east-1a"})),
			volumes: []Constraint{{"volume", []corev1.NodeSelectorTerm{term([]string{ebsKey, "In", "us-east-1a", "us-east-1b"})}}}, want: Need{Zone: "us-east-1b", Said: "volume", OfVolume: true}},
		{name: "the affinity refuses the only one of a volume", affinity: required(term([]string{zoneKey, "NotIn", "us-east-1a"})),
			volumes: []Constraint{{"volume", []corev1.NodeSelectorTerm{term([]string{ebsKey, "In", "us-east-1a"})}}}},
		{name: "what said it first", selector: map[string]string{zoneKey: "us-east-1b"},
			volumes: []Constraint{{"volume", []corev1.NodeSelectorTerm{term([]string{ebsKey, "In", "us-east-1b"})}}}, want: Need{Zone: "us-east-1b", Said: "nodeSelector " + zoneKey}},
		{name: "volumes in two zones", volumes: []Constraint{{"one", []corev1.NodeSelectorTerm{term([]string{ebsKey, "In", "us-east-1b"})}},
			{"other", []corev1.NodeSelectorTerm{term([]string{ebsKey, "In", "us-east-1a"})}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pod := &corev1.Pod{Spec: corev1.PodSpec{NodeSelector: tt.selector, Affinity: tt.affinity}}
			before := pod.DeepCopy()
			got, ok := Of(pod, tt.volumes, nameOf)
			diff := cmp.Diff(tt.want, got)
			assert.Truef(t, diff == "" && ok == (tt.want != Need{}), "needs one: %t, want %t (-want +got):\n%s", ok, tt.want != Need{}, diff)
			assert.Empty(t, cmp.Diff(before, pod), "the pod was changed")
		})
	}
}

func TestZonesThatRefuseAPod(t *testing.T) {
	inA, inB := term([]string{zoneKey, "In", "us-east-1a"}), term([]string{ebsKey, "In", "us-east-1b"})
	for _, tt := range []struct {
		name     string
		selector map[string]string
		affinity *corev1.Affinity
		volumes  []Constraint
		want     string // letters of the zones
	}{
		{name: "says nothing"},
		{name: "node selector", selector: map[string]string{idKey: "use1-az2"}, want: "ac"},
		{name: "another label", selector: map[string]string{"team": "us-east-1b"}},
		{name: "affinity to two", affinity: required(term([]string{zoneKey, "In", "us-east-1a", "us-east-1b"})), want: "c"},
		{name: "affinity to two, by terms", affinity: required(inA, inB), want: "c"},
		{name: "a term without a zone", affinity: required(inA, term([]string{"team", "In", "a"}))},
		{name: "an empty term matches nothing", affinity: required(inA, term()), want: "bc"},
		{name: "all but one", affinity: required(term([]string{zoneKey, "NotIn", "us-east-1c"})), want: "c"},
		{name: "all but one, by ID", affinity: required(term([]string{idKey, "NotIn", "use1-az1"})), want: "a"},
		{name: "any", affinity: required(term([]string{zoneKey, "Exists"}))},
		{name: "storage class of two", volumes: []Constraint{{"class", []corev1.NodeSelectorTerm{inA, inB}}}, want: "c"},
		{name: "storage class and affinity", affinity: required(term([]string{zoneKey, "NotIn", "us-east-1a"})),
			volumes: []Constraint{{"class", []corev1.NodeSelectorTerm{inA, inB}}}, want: "ac"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			refused, got := Refused(&corev1.Pod{Spec: corev1.PodSpec{NodeSelector: tt.selector, Affinity: tt.affinity}}, tt.volumes, nameOf), ""
			for _, letter := range "abc" {
				if refused("us-east-1" + string(letter)) {
					got += string(letter)
				}
			}
			assert.Equal(t, tt.want, got, "letters of the zones that refuse the pod")
		})
	}
}

func TestKnownLabelsThatAPodRefuses(t *testing.T) {
	const key, other = corev1.LabelInstanceTypeStable, "team"
	inOther := term([]string{key, "In", "m5a.large"})
	for _, tt := range []struct {
		name string
		spec corev1.PodSpec
		want bool
	}{
		{name: "nothing asked"},
		{name: "selected", spec: corev1.PodSpec{NodeSelector: map[string]string{key: "m5.large", other: "a"}}},
		{name: "another selected", spec: corev1.PodSpec{NodeSelector: map[string]string{key: "m5a.large"}}, want: true},
		{name: "among several", spec: corev1.PodSpec{Affinity: required(term([]string{key, "In", "m5a.large", "m5.large"}))}},
		{name: "not among several", spec: corev1.PodSpec{Affinity: required(term([]string{key, "In", "m5a.large", "m6i.large"}))}, want: true},
		{name: "refused", spec: corev1.PodSpec{Affinity: required(term([]string{key, "NotIn", "m5.large"}))}, want: true},
		{name: "another refused", spec: corev1.PodSpec{Affinity: required(term([]string{key, "NotIn", "m5a.large"}))}},
		{name: "any", spec: corev1.PodSpec{Affinity: required(term([]string{key, "Exists"}))}},
		{name: "one of two terms", spec: corev1.PodSpec{Affinity: required(inOther, term([]string{other, "In", "a"}))}},
		{name: "a term that matches nothing", spec: corev1.PodSpec{Affinity: required(inOther, term())}, want: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := Refuses(&corev1.Pod{Spec: tt.spec}, func(label string, _ ...string) (string, bool) { return "m5.large", label == key })
			assert.Equal(t, tt.want, got, "the pod refuses the label")
		})
	}
}

func claim(name, volume, class string) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Spec: corev1.PersistentVolumeClaimSpec{VolumeName: volume, StorageClassName: ptr.To(class)}}
}

func TestVolumesSayWhereTheirPodRuns(t *testing.T) {
	inB := &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{term([]string{ebsKey, "In", "us-east-1b"})}}}
	volumes := volumesOf(t,
		claim("bound", "pv-b", "gp3"), claim("unbound", "", "zonal"), claim("unbound-anywhere", "", "gp3"), claim("lost", "pv-gone", "gp3"),
		claim("old", "pv-old", "gp2"), claim("old-regional", "pv-regional", "gp2"), claim("web-0-scratch", "pv-b", "gp3"),
		&corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "unbound-classless"}},
		&corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv-b"}, Spec: corev1.PersistentVolumeSpec{NodeAffinity: inB}},
		&corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv-old", Labels: map[string]string{betaKey: "us-east-1b"}}},
		&corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv-regional", Labels: map[string]string{zoneKey: "us-east-1a__us-east-1b"}}},
		&storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "gp3"}},
		&storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "zonal"}, AllowedTopologies: []corev1.TopologySelectorTerm{
			{MatchLabelExpressions: []corev1.TopologySelectorLabelRequirement{{Key: ebsKey, Values: []string{"us-east-1b"}}}}}})
	for _, tt := range []struct {
		name, claim string
		want        Need
	}{
		{name: "bound", claim: "bound", want: Need{Zone: "us-east-1b", Said: `volume "pv-b" of claim "bound"`, OfVolume: true}},
		{name: "volume of an in-tree driver", claim: "old", want: Need{Zone: "us-east-1b", Said: `volume "pv-old" of claim "old"`, OfVolume: true}},
		{name: "volume in two zones", claim: "old-regional"},
		{name: "to be made in one zone", claim: "unbound", want: Need{Zone: "us-east-1b", Said: `storage class "zonal" of claim "unbound"`, OfVolume: true}},
		{name: "to be made anywhere", claim: "unbound-anywhere"},
		{name: "no class", claim: "unbound-classless"},
		{name: "volume is gone", claim: "lost"},
		{name: "claim is not there yet", claim: "none"},
		{name: "ephemeral", want: Need{Zone: "us-east-1b", Said: `volume "pv-b" of claim "web-0-scratch"`, OfVolume: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web-0"}}
			source := corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}
			if tt.claim != "" {
				source = corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: tt.claim}}
			}
			pod.Spec.Volumes = []corev1.Volume{{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{}}}, {Name: "scratch", VolumeSource: source}}
			got, _ := Of(pod, volumes.Of(pod), nameOf)
			assert.Empty(t, cmp.Diff(tt.want, got), "need (-want +got)")
		})
	}
}

// volumesOf is a Volumes over the objects.
func volumesOf(t *testing.T, objects ...runtime.Object) Volumes {
	factory := informers.NewSharedInformerFactory(fake.NewClientset(objects...), 0)
	v := Volumes{Claims: factory.Core().V1().PersistentVolumeClaims().Lister(),
		Volumes: factory.Core().V1().PersistentVolumes().Lister(), Classes: factory.Storage().V1().StorageClasses().Lister()}
	factory.Start(t.Context().Done())
	factory.WaitForCacheSync(t.Context().Done())
	return v
}
