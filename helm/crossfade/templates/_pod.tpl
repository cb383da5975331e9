{{/* What every container of ours has: image, secrets, configuration, no rights. */}}
{{- define "crossfade.container" -}}
image: {{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- with .Values.secrets.environment }}
envFrom:
  - secretRef: { name: {{ . }} }
{{- end }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  capabilities: { drop: [ALL] }
volumeMounts:
  # The whole folder: a subPath would never see the ConfigMap's changes.
  - { name: config, mountPath: /etc/crossfade, readOnly: true }
  {{- if .Values.secrets.files }}
  - { name: secrets, mountPath: /run/secrets/crossfade, readOnly: true }
  {{- end }}
{{- end -}}

{{/* Where it comes from: include "crossfade.volumes" (list . NAME-OF-CONFIGMAP) */}}
{{- define "crossfade.volumes" -}}
- name: config
  configMap: { name: {{ index . 1 }} }
{{- with (index . 0).Values.secrets.files }}
- name: secrets
  secret: { secretName: {{ . }} }
{{- end }}
{{- end -}}

{{/* Where the pods of a part go: include "crossfade.placement" .Values.proxy */}}
{{- define "crossfade.placement" -}}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* A proxy is ready while it takes sessions, whatever its stream does: that must not take the application away. */}}
{{- define "crossfade.probes" -}}
livenessProbe:
  httpGet: { path: /healthz, port: admin }
  periodSeconds: 10
  failureThreshold: 6
readinessProbe:
  httpGet: { path: /readyz, port: admin }
  periodSeconds: 5
{{- end -}}
