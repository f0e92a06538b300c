module lotoai.dev/local/definitions

go 1.26.8

require (
	github.com/cert-manager/cert-manager v1.21.2
	sigs.k8s.io/gateway-api v1.6.3
)
