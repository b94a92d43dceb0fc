package apacheconf

import (
	"path"
	"strings"
)

// builtIn are the modules that Debian's Apache has without a LoadModule.
var builtIn = []string{"core", "http", "so", "log_config", "logio", "version", "unixd", "watchdog"}

// load notes a LoadModule. <IfModule> knows a module by the name that LoadModule
// gives it, and by that of its source file.
func (r *reader) load(args []string) {
	if len(args) != 2 {
		return
	}
	name := strings.TrimSuffix(args[0], "_module")
	file := strings.TrimSuffix(path.Base(args[1]), ".so")
	r.loaded[args[0]], r.loaded[file+".c"], r.loaded["mod_"+name+".c"] = true, true, true
	if mpm, ok := strings.CutPrefix(name, "mpm_"); ok {
		r.loaded[mpm+".c"] = true
	}
	if name != "authz_core" {
		return
	}
	r.allModules = true
	for _, name := range builtIn {
		r.loaded[name+"_module"], r.loaded["mod_"+name+".c"], r.loaded[name+".c"], r.loaded[name+"_core.c"] = true, true, true, true
	}
}

// hasModule says whether a module is loaded. The files of a whole server say
// so: they load authz_core, without which Apache 2.4 is of no use. A virtual
// host alone does not, and there every module counts as loaded: who writes for
// a module has it. sure says which of the two it is.
func (r *reader) hasModule(name string) (loaded, sure bool) {
	if r.allModules {
		return r.loaded[name], true
	}
	return true, false
}
