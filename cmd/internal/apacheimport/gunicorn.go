package apacheimport

import (
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"wsfront/cmd/internal/apacheconf"
)

// process is a WSGI app as its own process.
type process struct {
	name, folder, module, object  string
	home, python                  string // the virtual environment, and further folders of modules
	workers, threads, user, group string
	mount                         string
	env                           []string
	script                        string
	rename, async                 bool
}

// withoutApache is the command that runs a WSGI app by itself, and its unit.
func (im *importer) withoutApache(v *vhost) string {
	var b strings.Builder
	for i, script := range v.app.scripts {
		if len(script.Args) < 2 {
			continue
		}
		p := im.processOf(v, script)
		port := im.appPort + i
		if i > 0 {
			fmt.Fprintf(&b, "\nAnd %s, for which the route %s needs app: http://127.0.0.1:%d:\n", p.module, p.mount, port)
		}
		p.write(&b, port)
	}
	return strings.TrimRight(b.String(), "\n")
}

// processOf reads what mod_wsgi was told of an app.
func (im *importer) processOf(v *vhost, script *apacheconf.Directive) process {
	p := process{script: im.absolute(script.Arg(1)), mount: script.Arg(0), object: "application", workers: "1", threads: "15"}
	group := v.app.group
	for _, word := range script.Args[2:] {
		if value, ok := strings.CutPrefix(strings.ToLower(word), "process-group="); ok {
			group = value
		}
	}
	paths := []string(nil)
	if d := v.app.root; d != nil {
		if d.Is("WSGIPythonHome") {
			p.home = d.Arg(0)
		} else {
			paths = filepath.SplitList(d.Arg(0))
		}
	}
	if d := v.app.daemons[group]; d != nil {
		p.name = d.Arg(0)
		for _, word := range d.Args[1:] {
			key, value, _ := strings.Cut(word, "=")
			switch strings.ToLower(key) {
			case "python-home":
				p.home = value
			case "python-path":
				paths = filepath.SplitList(value)
			case "home":
				p.folder = value
			case "processes":
				p.workers = value
			case "threads":
				p.threads = value
			case "user":
				p.user = value
			case "group":
				p.group = value
			case "lang", "locale":
				p.env = append(p.env, "LANG="+strings.Trim(value, `'"`))
			}
		}
	}
	if v.app.object != "" {
		p.object = v.app.object
	}
	for _, d := range v.app.env {
		if d.Is("SetEnv") && len(d.Args) == 2 && !strings.HasPrefix(d.Arg(0), "proxy-") && !strings.HasPrefix(d.Arg(0), "force-") {
			p.env = append(p.env, d.Arg(0)+"="+d.Arg(1))
		}
	}
	p.locate(paths)
	return p
}

// locate finds the module of the script, as Python would import it.
func (p *process) locate(paths []string) {
	file := strings.TrimSuffix(p.script, path.Ext(p.script))
	if path.Ext(p.script) != ".py" {
		p.rename = true
		file = path.Join(path.Dir(file), strings.ReplaceAll(path.Base(file), ".", "_")+"_wsgi")
	}
	p.async = strings.Contains(path.Base(file), "asgi")
	candidates := append([]string{}, paths...)
	if p.folder != "" {
		candidates = append(candidates, p.folder)
	}
	for _, root := range candidates {
		rest, ok := strings.CutPrefix(file, strings.TrimSuffix(root, "/")+"/")
		if ok && !strings.ContainsAny(rest, ".-") {
			p.folder, p.module = strings.TrimSuffix(root, "/"), strings.ReplaceAll(rest, "/", ".")
			break
		}
	}
	if p.module == "" {
		p.folder, p.module = path.Dir(file), path.Base(file)
		if path.Base(file) == "wsgi" || path.Base(file) == "asgi" { // Django: project/project/wsgi.py
			p.folder, p.module = path.Dir(p.folder), path.Base(p.folder)+"."+path.Base(file)
		}
	}
	var further []string
	for _, dir := range paths {
		if strings.TrimSuffix(dir, "/") != p.folder {
			further = append(further, dir)
		}
	}
	p.python = strings.Join(further, ",")
	if p.name == "" {
		p.name = strings.ReplaceAll(strings.TrimSuffix(p.module, ".wsgi"), ".", "-")
	}
}

// command is the line that runs it.
func (p *process) command(port int) string {
	bin := "gunicorn"
	if p.home != "" {
		bin = path.Join(p.home, "bin/gunicorn")
	}
	words := []string{bin, "--chdir", p.folder, "--bind", fmt.Sprintf("127.0.0.1:%d", port), "--workers", p.workers}
	if p.async {
		words = append(words, "--worker-class", "uvicorn.workers.UvicornWorker")
	} else {
		words = append(words, "--threads", p.threads)
	}
	if p.python != "" {
		words = append(words, "--pythonpath", p.python)
	}
	if p.mount != "/" && p.mount != "" {
		words = append(words, "--env", "SCRIPT_NAME="+strings.TrimSuffix(p.mount, "/"))
	}
	words = append(words, p.module+":"+p.object)
	for i, w := range words {
		words[i] = shellWord(w)
	}
	return strings.Join(words, " ")
}

var shellForm = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

func shellWord(s string) string {
	if s = printable(s, 400); shellForm.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

func (p *process) write(b *strings.Builder, port int) {
	install := "apt install gunicorn"
	if p.home != "" {
		install = shellWord(path.Join(p.home, "bin/pip")) + " install gunicorn"
	}
	if p.async {
		install = strings.Replace(install, "apt install gunicorn", "pip install gunicorn", 1) + " uvicorn"
	}
	if p.rename {
		fmt.Fprintf(b, "Python imports files that end in .py alone:\n\n    cp %s %s\n\n", shellWord(p.script), shellWord(path.Join(p.folder, strings.ReplaceAll(p.module, ".", "/")+".py")))
	}
	fmt.Fprintf(b, "    %s\n", install)
	fmt.Fprintf(b, "    %s\n\nAs a service, /etc/systemd/system/%s.service:\n\n", p.command(port), printable(strings.ReplaceAll(p.name, "/", "-"), 60))
	user := p.user
	if user == "" {
		user = "www-data"
	}
	unit := []string{"[Unit]", "Description=" + printable(p.name, 60) + " behind wsfront", "After=network.target", "", "[Service]", "User=" + printable(user, 60)}
	if p.group != "" {
		unit = append(unit, "Group="+printable(p.group, 60))
	}
	unit = append(unit, "WorkingDirectory="+printable(p.folder, 300))
	for _, e := range p.env {
		unit = append(unit, `Environment="`+strings.NewReplacer(`"`, `\"`, `%`, `%%`).Replace(printable(e, 300))+`"`)
	}
	exec := strings.ReplaceAll(p.command(port), "%", "%%")
	if !strings.HasPrefix(exec, "/") {
		exec = "/usr/bin/" + exec
	}
	unit = append(unit, "ExecStart="+exec, "Restart=on-failure", "", "[Install]", "WantedBy=multi-user.target")
	for _, line := range unit {
		b.WriteString(strings.TrimRight("    "+line, " ") + "\n")
	}
	fmt.Fprintf(b, "\nThen: systemctl enable --now %s, stop Apache, and start wsfront.\n", printable(p.name, 60))
}
