-- Health of a LotoAI for Argo CD: the key resource.customizations.health.lotoai.dev_LotoAI of argocd-cm.
local status = obj.status or {}
local found = {}
for _, condition in ipairs(status.conditions or {}) do
  found[condition.type] = condition
end
local ready = found.Ready or { message = "Waiting for the operator" }
if status.observedGeneration ~= obj.metadata.generation then
  return { status = "Progressing", message = "Waiting for the operator to see the change" }
end
for _, bad in ipairs({ "Stalled", "Degraded" }) do
  if found[bad] and found[bad].status == "True" then
    return { status = "Degraded", message = found[bad].message }
  end
end
if ready.reason == "Paused" or ready.reason == "Suspended" then
  return { status = "Suspended", message = ready.message }
end
if found.Reconciling and found.Reconciling.status == "True" then
  return { status = "Progressing", message = found.Reconciling.message }
end
if ready.status == "True" then
  return { status = "Healthy", message = ready.message }
end
return { status = "Progressing", message = ready.message }
