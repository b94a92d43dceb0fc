package config

import (
	"os"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"wsfront/proxy"
)

// stateLine is the line of a file that names the state folder.
var stateLine = regexp.MustCompile(`(?m)^state:[ \t]+\S.*$`)

// StateDirOf is the state folder that the file of that name speaks of, mistakes or
// not: whoever looks for a server that runs needs nothing else of it, and the
// server may have refused the rest.
func StateDirOf(path string) string {
	text, err := os.ReadFile(path)
	if err != nil || len(text) > maxFileSize {
		return proxy.DefaultState()
	}
	var file File
	var said struct{ State string }
	if yaml.Unmarshal(stateLine.Find(text), &said) == nil {
		file.State = strings.TrimSpace(said.State)
	}
	return file.StateDir()
}
