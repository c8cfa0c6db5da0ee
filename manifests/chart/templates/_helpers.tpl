{{/* Names and labels are the stock chart's, so that a release of it can be upgraded: a Deployment's selector cannot change. */}}
{{- define "asg.name" -}}
{{- .Values.nameOverride | default "aws-cluster-autoscaler" | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "asg.fullname" -}}
{{- $name := include "asg.name" . -}}
{{- $full := eq $name .Release.Name | ternary $name (printf "%s-%s" .Release.Name $name) -}}
{{- .Values.fullnameOverride | default $full | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "asg.serviceAccountName" -}}
{{- $account := .Values.rbac.serviceAccount -}}
{{- $account.name | default (ternary (include "asg.fullname" .) "default" $account.create) -}}
{{- end -}}

{{- define "asg.secretName" -}}
{{- .Values.secretKeyRefNameOverride | default (include "asg.fullname" .) -}}
{{- end -}}

{{/* image is its name. The tag of a release has the release's digest behind it, so that a tag of the user's own comes without it. */}}
{{- define "asg.image" -}}
{{- with .Values.image -}}
{{- .repository -}}{{- with .tag }}:{{ include "asg.text" . | splitList "@" | first }}{{ end -}}
{{- with .digest | default (regexFind "sha256:.*" (toString .tag)) }}@{{ . }}{{ end -}}
{{- end -}}
{{- end -}}

{{- define "asg.selectorLabels" -}}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/name: {{ include "asg.name" . | quote }}
{{- end -}}

{{- define "asg.labels" -}}
{{ include "asg.selectorLabels" . }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | quote }}
{{- with .Values.additionalLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* metadata is the name, namespace and labels of an object. */}}
{{- define "asg.metadata" -}}
name: {{ include "asg.fullname" . }}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "asg.labels" . | nindent 2 }}
{{- end -}}

{{/* annotations renders the map of a dict with "map" and "root" as templates, keys included. */}}
{{- define "asg.annotations" -}}
{{- with .map }}
annotations:
  {{- range $key, $value := . }}
  {{ tpl $key $.root | quote }}: {{ tpl (toString $value) $.root | quote }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* text is a scalar as the command line writes it. A number stays 1000000 and does not become 1e+06, and null is the empty text. */}}
{{- define "asg.text" -}}
{{- kindIs "invalid" . | ternary "" (kindIs "string" . | ternary . (toJson .)) -}}
{{- end -}}

{{/* args are the flags, as a YAML list. A later flag wins over an earlier one. */}}
{{- define "asg.args" -}}
- --cloud-provider=aws
- --namespace={{ .Release.Namespace }}
{{- if .Values.shadow }}
- --shadow
{{- end }}
{{- with .Values.profile }}
- {{ printf "--asg-profile=%s" . | quote }}
{{- end }}
{{- if and .Values.rbac.create .Values.rbac.clusterScoped (not (hasKey (.Values.extraArgs | default dict) "asg-nominate")) }}
- --asg-nominate={{ if .Values.rbac.nominations }}on{{ else }}off{{ end }}
{{- end }}
{{- range .Values.autoscalingGroups }}
- {{ printf "--nodes=%s:%s:%s" (include "asg.text" .minSize) (include "asg.text" .maxSize) .name | quote }}
{{- end }}
{{- if .Values.autoDiscovery.clusterName }}
- {{ tpl (tpl (join "," .Values.autoDiscovery.tags) .) . | printf "--node-group-auto-discovery=asg:tag=%s" | quote }}
{{- end }}
{{- with .Values.cloudConfigPath }}
- {{ printf "--cloud-config=%s" . | quote }}
{{- end }}
{{- with .Values.asg }}
{{- $flags := dict "asg-cluster-name" .clusterName "asg-node-group-discovery" .nodeGroupDiscovery
  "asg-interruption-queue" .interruptionQueue "asg-zonal-groups" .zonalGroups "asg-status-address" .statusAddress }}
{{- if or .prices.content .prices.existingConfigMap }}
{{- $_ := set $flags "asg-price-file" (printf "/etc/asg-autoscaler/prices/%s" .prices.key) }}
{{- end }}
{{- range $flag, $value := $flags }}
{{- if $value }}
- {{ printf "--%s=%s" $flag $value | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- range $key, $value := .Values.extraArgs }}
{{- $flag := printf "--%s" (splitList "_" $key | first) }}
{{- if and (kindIs "bool" $value) (regexMatch "^--asg-(consolidate|nominate|spot-prices|status-page|zonal-groups)$" $flag) }}{{ $value = ternary "on" "off" $value }}{{ end }}
- {{ kindIs "invalid" $value | ternary $flag (printf "%s=%s" $flag (include "asg.text" $value)) | quote }}
{{- end }}
{{- range .Values.customArgs }}
- {{ include "asg.text" . | quote }}
{{- end }}
{{- end -}}

{{/* has prints "true" if a flag with a name of "names", a regular expression, is given and not false. */}}
{{- define "asg.has" -}}
{{- range include "asg.args" .root | fromYamlArray -}}
{{- if and (regexMatch (printf "^--(%s)(=|$)" (replace "-" "[-_]" $.names)) .) (not (hasSuffix "=false" .)) -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{/* relabelings are those of a monitor, as a YAML list. The label job comes first. */}}
{{- define "asg.relabelings" -}}
{{- with .job }}
- {targetLabel: job, replacement: {{ . | quote }}}
{{- end }}
{{- with .relabelings }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "asg.priorities" -}}
{{- if and .Values.expanderPriorities (not .Values.shadow) (regexMatch "(?m)^--expander=(.*[, ])?priority *(,|$)" (include "asg.args" . | fromYamlArray | join "\n")) -}}true{{- end -}}
{{- end -}}

{{/* leaseless prints "true" if each replica works without a lease. */}}
{{- define "asg.leaseless" -}}
{{- if regexMatch "(?m)^--leader[-_]elect=(0|f|F|false|FALSE|False)$" (include "asg.args" . | fromYamlArray | join "\n") -}}true{{- end -}}
{{- end -}}

{{/* check refuses values with which no autoscaler would run, or two. */}}
{{- define "asg.check" -}}
{{- if not (hasKey .Values "asg") }}
{{- fail "The values lack those of this chart. Use helm upgrade --reset-then-reuse-values, and not --reuse-values." }}
{{- end }}
{{- $several := gt (int .Values.replicaCount) 1 }}
{{- if and $several (include "asg.leaseless" .) }}
{{- fail "--leader-elect=false lets every replica work at the same time. Set replicaCount: 1, or leave the flag out." }}
{{- end }}
{{- $address := regexFind "(?m)^--asg-plugin-address=.*:" (include "asg.args" . | fromYamlArray | join "\n") }}
{{- if and $several $address (not (regexMatch "=(127\\.|localhost:|\\[::1)" $address)) }}
{{- fail "The core's two connections must end at the same process of the plugin. Set replicaCount: 1." }}
{{- end }}
{{- if and (not .Values.shadow) (include "asg.has" (dict "root" . "names" "shadow")) }}
{{- fail "The flag --shadow needs permissions of its own. Set the value shadow: true, and leave the flag out." }}
{{- end }}
{{- if and .Values.rbac.create (regexMatch "(?m)^--((leader[-_]elect|lease)[-_]resource|status[-_]config[-_]map)[-_]name" (join "\n" .Values.customArgs)) }}
{{- fail "The permissions for the lease and the status follow extraArgs.leader-elect-resource-name and extraArgs.status-config-map-name. Set these, and leave the flags out of customArgs." }}
{{- end }}
{{- if ne (printf "--namespace=%s" .Release.Namespace) (last (regexFindAll "(?m)^--namespace=.*$" (include "asg.args" . | fromYamlArray | join "\n") -1)) }}
{{- fail "The permissions for the lease and the status are in the release's namespace. Install the release there, and leave the flag --namespace out." }}
{{- end }}
{{- $tags := list "k8s.io/cluster-autoscaler/enabled" "k8s.io/cluster-autoscaler/{{ .Values.autoDiscovery.clusterName }}" }}
{{- if not (or .Values.autoDiscovery.clusterName .Values.autoscalingGroups (eq (toJson .Values.autoDiscovery.tags) (toJson $tags)) (include "asg.has" (dict "root" . "names" "nodes|node-group-auto-discovery"))) }}
{{- fail "autoDiscovery.tags hold with autoDiscovery.clusterName alone. Set that, or extraArgs.node-group-auto-discovery." }}
{{- end }}
{{- if ne .Values.cloudProvider "aws" }}
{{- fail (printf "cloudProvider is %q: this autoscaler scales EC2 Auto Scaling groups only. Use the stock chart for other clouds." .Values.cloudProvider) }}
{{- end }}
{{- with .Values.image }}
{{- $repository := .repository | default "" }}
{{- $stock := regexMatch "(^|/)autoscaling/cluster-autoscaler$" $repository }}
{{- $own := or .digest (not (has $repository (list "" "ghcr.io/asg-autoscaler/asg-autoscaler"))) }}
{{- if and (regexMatch "^v1\\.[23][0-9]\\.[0-9]+$" (toString .tag)) (or $stock (not $own)) }}
{{- fail (printf "image.tag %s is a tag of the stock autoscaler, which this chart does not run. Set image.repository and image.tag to an image of this project: --set image.repository=REPOSITORY --set image.tag=TAG." .tag) }}
{{- end }}
{{- if not (and .repository (or .tag .digest)) }}
{{- fail "The sources of the chart name no image, so image.repository and image.tag (or image.digest) must name yours. `make image` builds one, and `crane push bin/image REPOSITORY:TAG` pushes it. Then: --set image.repository=REPOSITORY --set image.tag=TAG" }}
{{- end }}
{{- if regexMatch "@|:[^/]*$" .repository }}
{{- fail (printf "image.repository %s has a tag or a digest. Set image.repository to what stands before it, and image.tag or image.digest to the rest." .repository) }}
{{- end }}
{{- end }}
{{- with .Values.asg }}
{{- if and .prices.content .prices.existingConfigMap }}
{{- fail "Set only one of asg.prices.content and asg.prices.existingConfigMap." }}
{{- end }}
{{- end }}
{{- end -}}
