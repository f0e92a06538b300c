{{- define "lotoai.fullname" -}}
{{- if contains "lotoai-operator" .Release.Name -}}
{{ .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else if eq .Release.Name "lotoai" -}}
lotoai-operator
{{- else -}}
{{ printf "%s-lotoai-operator" .Release.Name | trunc 52 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{- define "lotoai.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (include "lotoai.fullname" .) }}
{{- end -}}

{{- define "lotoai.selector" -}}
app.kubernetes.io/name: lotoai-operator
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "lotoai.labels" -}}
{{ include "lotoai.selector" . }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: lotoai
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "lotoai.image" -}}
{{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) }}
{{- end -}}

{{- /* What Pod Security `restricted` asks of a pod. */ -}}
{{- define "lotoai.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- /* And of a container. */ -}}
{{- define "lotoai.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: ["ALL"]
{{- end -}}
