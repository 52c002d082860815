// SPDX-License-Identifier: Apache-2.0

// tardump FILE… prints one line for each entry of each archive as Go's archive/tar sees it, in the
// form of tests/tools/tar_dump.c. Where cowsnap's reader refuses on purpose what Go's reader lets
// through (see the essay in plugin/layer/tar_reader.c), an "error" is printed here as well, so that
// every line of difference is a defect.
package main

import (
	"archive/tar"
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"
)

const (
	readLimit   = 1 << 20
	xattrPrefix = "SCHILY.xattr."
)

var out = bufio.NewWriter(os.Stdout)

func quote(text string) string {
	var quoted strings.Builder
	quoted.WriteByte('"')
	for _, c := range []byte(text) {
		if c > ' ' && c < 0x7f && c != '"' && c != '\\' {
			quoted.WriteByte(c)
		} else {
			fmt.Fprintf(&quoted, "\\x%02x", c)
		}
	}
	quoted.WriteByte('"')
	return quoted.String()
}

func stamp(what string, t time.Time) string {
	if t.IsZero() {
		return " " + what + "=-"
	}
	return fmt.Sprintf(" %s=%d.%09d", what, t.Unix(), t.Nanosecond())
}

func fits(number int64) bool {
	return number >= 0 && number <= math.MaxUint32
}

func refuse(hdr *tar.Header) error {
	switch hdr.Typeflag {
	case tar.TypeReg, tar.TypeDir, tar.TypeSymlink, tar.TypeLink, tar.TypeFifo, tar.TypeGNUSparse:
	case tar.TypeChar, tar.TypeBlock:
		if !fits(hdr.Devmajor) || !fits(hdr.Devminor) {
			return fmt.Errorf("device number")
		}
	default:
		return fmt.Errorf("type %q", hdr.Typeflag)
	}
	if !fits(int64(hdr.Uid)) || !fits(int64(hdr.Gid)) {
		return fmt.Errorf("owner")
	}
	if _, nameless := hdr.PAXRecords[xattrPrefix]; nameless {
		return fmt.Errorf("attribute without a name")
	}
	if strings.ContainsRune(hdr.Name, 0) {
		return fmt.Errorf("NUL in a name")
	}
	return nil
}

func printEntry(hdr *tar.Header, data io.Reader) error {
	names := map[byte]string{tar.TypeReg: "file", tar.TypeGNUSparse: "file", tar.TypeDir: "dir",
		tar.TypeSymlink: "symlink", tar.TypeLink: "hardlink", tar.TypeChar: "chardev",
		tar.TypeBlock: "blockdev", tar.TypeFifo: "fifo"}
	kind := names[hdr.Typeflag]
	link, size, sum := "", int64(0), ""

	if kind == "symlink" || kind == "hardlink" {
		link = hdr.Linkname
	}
	if kind == "file" {
		size = hdr.Size
		if size <= readLimit {
			hash := sha256.New()
			if _, err := io.Copy(hash, data); err != nil {
				return err
			}
			sum = fmt.Sprintf(" sha256=%x", hash.Sum(nil))
		}
	}
	fmt.Fprintf(out, "%s %s %s mode=%04o uid=%d gid=%d size=%d%s%s", kind, quote(hdr.Name),
		quote(link), hdr.Mode&07777, hdr.Uid, hdr.Gid, size, stamp("mtime", hdr.ModTime),
		stamp("atime", hdr.AccessTime))
	if kind == "chardev" || kind == "blockdev" {
		fmt.Fprintf(out, " dev=%d:%d", hdr.Devmajor, hdr.Devminor)
	}
	var keys []string
	for key := range hdr.PAXRecords {
		if strings.HasPrefix(key, xattrPrefix) {
			keys = append(keys, key)
		}
	}
	sort.Strings(keys)
	for _, key := range keys {
		fmt.Fprintf(out, " %s=%s", quote(key[len(xattrPrefix):]), quote(hdr.PAXRecords[key]))
	}
	fmt.Fprintf(out, "%s\n", sum)
	return nil
}

func dump(r io.Reader) error {
	reader := tar.NewReader(r)
	for {
		hdr, err := reader.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if hdr.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		if err := refuse(hdr); err != nil {
			return err
		}
		if err := printEntry(hdr, reader); err != nil {
			return err
		}
	}
}

func main() {
	defer out.Flush()
	for _, path := range os.Args[1:] {
		file, err := os.Open(path)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Fprintf(out, "# %s\n", filepath.Base(path))
		// A layer comes through a decompressor: no seeking.
		if dump(struct{ io.Reader }{bufio.NewReader(file)}) == nil {
			fmt.Fprintln(out, "end")
		} else {
			fmt.Fprintln(out, "error")
		}
		file.Close()
	}
}
