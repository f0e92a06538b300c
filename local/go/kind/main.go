// Command kindconfig checks kind cluster configurations with kind's own loader: it decodes strictly, as `kind create
// cluster --config` does, and needs no container engine. Kind does not export its loader; creating a cluster loads
// the configuration before it does anything else.
package main

import (
	"fmt"
	"os"

	"sigs.k8s.io/kind/pkg/cluster"
)

// stop is a configuration that the loader refuses, so that no cluster is ever created.
const stop = "kind: Stop"

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: kindconfig <file>...")
		os.Exit(2)
	}
	failed := false
	for _, file := range os.Args[1:] {
		if err := check(file); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", file, err)
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}

// check returns the error of loading file, if any.
func check(file string) error {
	provider := cluster.NewProvider(cluster.ProviderWithDocker())
	stopped := provider.Create("none", cluster.CreateWithRawConfig([]byte(stop)))
	if stopped == nil {
		return fmt.Errorf("kind took %q for a configuration", stop)
	}
	loaded := provider.Create("none", cluster.CreateWithConfigFile(file), cluster.CreateWithRawConfig([]byte(stop)))
	if loaded != nil && loaded.Error() == stopped.Error() {
		return nil
	}
	return loaded
}
