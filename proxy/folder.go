package proxy

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
)

// errFolderMissing says that what the route names is not there.
var errFolderMissing = errors.New("the folder is missing")

// folder is what a route names, open for one request. A root never leaves the
// folder, neither by .. nor by a symbolic link.
type folder struct {
	root *os.Root
	file string // the route's one file, when there is no root
}

// openFile is a file and what the system says about it.
type openFile struct {
	*os.File
	info fs.FileInfo
}

func openFolder(name string) (folder, error) {
	root, err := os.OpenRoot(name)
	if err == nil {
		return folder{root: root}, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return folder{}, errFolderMissing
	}
	if info, statErr := os.Stat(name); statErr == nil && info.Mode().IsRegular() {
		return folder{file: name}, nil
	}
	return folder{}, fmt.Errorf("open folder %s: %w", name, reasonOf(err))
}

func (d folder) close() {
	if d.root != nil {
		d.root.Close() // nothing was written: there is no error to lose
	}
}

// open opens a file for reading. O_NONBLOCK keeps a named pipe that lies in the
// folder from holding the request until somebody writes to it.
func (d folder) open(name string) (openFile, error) {
	const flags = os.O_RDONLY | syscall.O_NONBLOCK
	var file *os.File
	var err error
	if d.root != nil {
		file, err = d.root.OpenFile(name, flags, 0)
	} else if suffix, ok := strings.CutPrefix(name, "."); ok {
		file, err = os.OpenFile(d.file+suffix, flags, 0) // "." and ..gz: the file itself and its siblings
	} else {
		err = fs.ErrNotExist
	}
	if err != nil {
		return openFile{}, fmt.Errorf("open %s: %w", name, reasonOf(err))
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return openFile{}, fmt.Errorf("stat %s: %w", name, reasonOf(err))
	}
	return openFile{file, info}, nil
}

// entry is what a name leads to: a file, or the index of a folder.
type entry struct {
	openFile
	name string // of the file, also where it could not be opened
	bare bool   // the index of a folder whose name came without a slash behind it
}

// find opens the file that a name leads to. What is neither a file nor a folder
// with an index is fs.ErrNotExist; so is a file whose name came with a slash
// behind it.
func (d folder) find(name string, slash bool) (entry, error) {
	e := entry{name: name}
	var err error
	if e.openFile, err = d.open(name); err != nil {
		return e, err
	}
	if e.info.IsDir() {
		e.Close()
		e.name, e.bare = path.Join(name, indexName), !slash
		if e.openFile, err = d.open(e.name); err != nil {
			return e, err
		}
		slash = false
	}
	if slash || !e.info.Mode().IsRegular() {
		e.Close()
		return e, fs.ErrNotExist
	}
	return e, nil
}

// badLink says, in words for the log, which symbolic link on the way to a file
// is why it could not be opened, or "". A link that merely leads nowhere is as
// good as no file.
func (d folder) badLink(name string) string {
	if d.root == nil {
		return ""
	}
	for i := range len(name) + 1 {
		if i < len(name) && name[i] != '/' {
			continue
		}
		part := name[:i]
		info, err := d.root.Lstat(part)
		if err != nil {
			return ""
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			continue
		}
		if _, err = d.root.Stat(part); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
			target, _ := d.root.Readlink(part) // only for the message
			return fmt.Sprintf("%s is a symbolic link to %s: %v; links are followed only when they are relative and stay in the folder",
				path.Join(d.root.Name(), part), target, reasonOf(err))
		}
	}
	return ""
}

// reasonOf is an error of package os without the operation and the path, which
// the message around it has already.
func reasonOf(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}
