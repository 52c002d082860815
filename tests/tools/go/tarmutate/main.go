// SPDX-License-Identifier: Apache-2.0

// tarmutate -seed N -count N -dir DIR writes archives that are nearly right: each is put together
// from members with odd fields, and most are then damaged. The same seed makes the same archives.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
)

const block = 512

var random *rand.Rand

func one(choices ...string) string {
	return choices[random.Intn(len(choices))]
}

func chance(percent int) bool {
	return random.Intn(100) < percent
}

type header [block]byte

func (h *header) put(at, size int, text string) {
	field := h[at : at+size]
	for i := range field {
		field[i] = 0
	}
	copy(field, text)
}

func (h *header) octal(at, size int, number int64) {
	h.put(at, size, fmt.Sprintf("%0*o\x00", size-1, number))
}

// binary writes the number as GNU's base-256 does.
func (h *header) binary(at, size int, number int64) {
	for i := size - 1; i >= 0; i-- {
		h[at+i] = byte(number)
		number >>= 8
	}
	if number < 0 {
		h[at] = 0xff
	}
	h[at] |= 0x80
}

func (h *header) number(at, size int, usual int64) {
	switch {
	case chance(98):
		h.octal(at, size, usual)
	case chance(40):
		h.binary(at, size, usual)
	case chance(20):
		h.binary(at, size, -1-int64(random.Intn(1000)))
	case chance(20):
		for i := 0; i < size; i++ {
			h[at+i] = byte(random.Intn(256))
		}
	default:
		h.put(at, size, one("", " ", "   644 ", "644", "0000644", "7777777\x00", "8", "-1", "+1", "0x1",
			"1 2", "12\x0099", " \x00 7 \x00", "\xff\xff\xff\xff\xff\xff\xff\xfe", "\x80\x00\x00\x01",
			"\xc0", "\x80", "777777777777", "\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"))
	}
}

func (h *header) checksum() {
	h.put(148, 8, "        ")
	plain, signed := 0, 0
	for _, c := range h {
		plain += int(c)
		signed += int(int8(c))
	}
	sum := plain
	if chance(10) && signed >= 0 {
		sum = signed
	}
	switch {
	case chance(99):
		h.put(148, 8, fmt.Sprintf("%06o\x00 ", sum))
	case chance(50):
		h.put(148, 8, fmt.Sprintf("%7o", sum))
	default:
		h.put(148, 8, fmt.Sprintf("%06o\x00 ", sum+1))
	}
}

func magic(h *header, format string) {
	switch format {
	case "ustar":
		h.put(257, 8, "ustar\x0000")
		if chance(5) {
			h.put(257, 8, "ustar\x00xy")
		}
	case "star":
		h.put(257, 8, "ustar\x0000")
		h.put(508, 4, "tar\x00")
		h.number(476, 12, 1500000000)
		h.number(488, 12, 1500000000)
	case "gnu":
		h.put(257, 8, "ustar  \x00")
	}
	if format != "v7" {
		h.put(265, 32, one("root", "", "user"))
		h.number(329, 8, int64(random.Intn(300)))
		h.number(337, 8, int64(random.Intn(300)))
	}
	if (format == "ustar" || format == "star") && chance(20) {
		h.put(345, 131, one("some/prefix", "p", strings.Repeat("q", 131), "\xc3\xa9"))
	}
	if format == "gnu" && chance(20) {
		h.number(345, 12, 1600000000)
		h.number(357, 12, 1600000000)
		if chance(20) {
			h.put(345, 155, one("old/go/prefix", "\xff\xff\xff\xff", "old\xc3\xa9", "7", "99"))
		}
	}
}

func anyName() string {
	return one("a", "dir/file", "dir/", "", "../x", "/abs", "./.", strings.Repeat("n", 100), "caf\xc3\xa9",
		one("e", "f", "g", "h", "i", "a\x00b"), "\xff\xfe", "with space", "x/", ".wh.y", strings.Repeat("d/", 50))
}

func anyNumber() string {
	return one("0", "1", "5", "512", "513", "1024", "-1", "+7", "", "x", "1.5", "4294967295", "4294967296",
		"9223372036854775807", "9223372036854775808", "-9223372036854775808", "007", " 1", "1_0", "0x10")
}

func anyTime() string {
	return one("0", "1.5", "-1.25", "-0.5", "1700000000.123456789", "1700000000.1234567899", "1.", ".5", "",
		"1.5.3", "1.a", "-1", "+3.25", "9223372036854775807", "x", "1.-5", "99999999999999999999", "-5.000000001")
}

func record(key, value string) string {
	size := len(key) + len(value) + 3
	for n := size; ; n++ {
		if len(fmt.Sprint(n))+size == n {
			text := fmt.Sprintf("%d %s=%s\n", n, key, value)
			switch {
			case chance(99):
			case chance(30):
				text = "0" + text
			case chance(30):
				text = fmt.Sprintf("%d %s=%s\n", n+random.Intn(5)-2, key, value)
			case chance(30):
				text = strings.Replace(text, "=", one("", "==", " "), 1)
			default:
				text = strings.Replace(text, "\n", one("", " ", "\x00", "\n\n"), 1)
			}
			return text
		}
	}
}

func extents(most int) []string {
	var list []string
	at := 0
	for n := random.Intn(most); n > 0; n-- {
		at += random.Intn(3) * 512
		length := random.Intn(3) * 512
		if chance(10) {
			length += random.Intn(100)
		}
		list = append(list, fmt.Sprint(at), fmt.Sprint(length))
		at += length
	}
	if len(list) > 0 && chance(8) {
		list[random.Intn(len(list))] = anyNumber()
	}
	return list
}

func total(list []string) (data, end int) {
	for i := 0; i+1 < len(list); i += 2 {
		var at, length int
		fmt.Sscan(list[i], &at)
		fmt.Sscan(list[i+1], &length)
		if length >= 0 && length < 1<<16 && at+length >= end {
			data += length
			end = at + length
		}
	}
	return data, end
}

func records() string {
	var text strings.Builder
	for n := random.Intn(5); n > 0; n-- {
		switch random.Intn(12) {
		case 0:
			text.WriteString(record("path", anyName()))
		case 1:
			text.WriteString(record("linkpath", anyName()))
		case 2:
			if chance(20) {
				text.WriteString(record("size", anyNumber()))
			}
		case 3:
			text.WriteString(record(one("uid", "gid"), one("0", "1000", "65534", "+7", "", "007", "4294967295", anyNumber())))
		case 4, 5:
			text.WriteString(record(one("mtime", "atime", "ctime"), one("1.5", "-1.25", "-0.5", "1.", "+3.25", "1700000000.1234567899", "", "-5.000000001", anyTime())))
		case 6, 7, 8:
			text.WriteString(record("SCHILY.xattr."+one("user.a", "user.b", "security.capability", "u=v"),
				one("", "value", "\x01\x00\x02", "a=b\nc", strings.Repeat("v", 1000))))
		case 9:
			text.WriteString(record(one("comment", "uname", "LIBARCHIVE.xattr.user.a", "mtime ", "SCHILY.dev",
				"comment", "GNU.sparse.name", "GNU.sparse.major"), one("", "1", "0", "n", "n", "n", "x\x00y")))
		default:
			text.WriteString(record("mtime", "1700000000.25"))
		}
		if chance(1) {
			text.WriteString(record(one("SCHILY.xattr.", "a\x00b", "SCHILY.xattr.x\x00y", ""), "v"))
		}
	}
	return text.String()
}

func padded(data []byte) []byte {
	return append(data, make([]byte, -len(data)&(block-1))...)
}

func someData(n int) []byte {
	data := make([]byte, n)
	random.Read(data)
	return data
}

func plain(format string, kind byte, name string, size int64) *header {
	h := new(header)
	h.put(0, 100, name)
	h.number(100, 8, int64(random.Intn(010000)))
	h.number(108, 8, int64(random.Intn(2000)))
	h.number(116, 8, int64(random.Intn(2000)))
	if chance(98) {
		h.octal(124, 12, size)
	} else {
		h.number(124, 12, size)
	}
	h.number(136, 12, int64(random.Intn(1<<31)))
	h[156] = kind
	magic(h, format)
	return h
}

func special(out *bytes.Buffer, kind byte, data string) {
	h := plain(one("ustar", "gnu", "v7"), kind, one("././@LongLink", "./PaxHeaders/x"), int64(len(data)))
	h.checksum()
	out.Write(h[:])
	out.Write(padded([]byte(data)))
}

// oldSparse writes a type 'S' member, with extension blocks when its map is long.
func oldSparse(out *bytes.Buffer) {
	list := extents([]int{2, 6, 70}[random.Intn(3)])
	data, end := total(list)
	h := plain(one("gnu", one("gnu", "gnu", "gnu", "gnu", "gnu", one("star", "ustar", "v7"))), 'S', anyName(), int64(data))
	h.number(483, 12, int64(end+random.Intn(2)*700))
	put := func(field []byte) {
		for i := 0; i+24 <= len(field)-1 && len(list) >= 2; i += 24 {
			copy(field[i:i+12], fmt.Sprintf("%011s\x00", octalOf(list[0])))
			copy(field[i+12:i+24], fmt.Sprintf("%011s\x00", octalOf(list[1])))
			list = list[2:]
		}
	}
	put(h[386:483])
	if len(list) > 0 || chance(10) {
		h[482] = byte(1 + random.Intn(255))
	}
	h.checksum()
	out.Write(h[:])
	for len(list) > 0 {
		var more [block]byte
		put(more[:505])
		if len(list) > 0 {
			more[504] = 1
		}
		out.Write(more[:])
	}
	out.Write(padded(someData(data)))
}

func octalOf(decimal string) string {
	var number int64
	if _, err := fmt.Sscan(decimal, &number); err != nil {
		return decimal
	}
	return fmt.Sprintf("%o", number)
}

func paxSparse(out *bytes.Buffer) {
	list := extents(8)
	data, end := total(list)
	end += random.Intn(2) * 700
	count := fmt.Sprint(len(list) / 2)
	if chance(5) {
		count = anyNumber()
	}
	text := record("GNU.sparse.name", one("real/name", ""))
	version := random.Intn(3)
	front := ""
	switch version {
	case 0:
		if chance(50) {
			text += record("GNU.sparse.major", "0") + record("GNU.sparse.minor", one("0", "0", "1", ""))
		}
		text += record(one("GNU.sparse.size", "GNU.sparse.realsize"), fmt.Sprint(end))
		text += record("GNU.sparse.numblocks", count)
		for i := 0; i+1 < len(list); i += 2 {
			text += record("GNU.sparse.offset", list[i]) + record("GNU.sparse.numbytes", list[i+1])
		}
		if chance(5) {
			text += record(one("GNU.sparse.offset", "GNU.sparse.numbytes"), one("1", "1,2", ""))
		}
	case 1:
		if chance(50) {
			text += record("GNU.sparse.major", "0") + record("GNU.sparse.minor", "1")
		}
		text += record("GNU.sparse.size", fmt.Sprint(end)) + record("GNU.sparse.numblocks", count)
		text += record("GNU.sparse.map", strings.Join(list, ",")+one("", "", "", "", "", "", ","))
	case 2:
		text += record("GNU.sparse.major", one("1", "1", "1", "1", "2", "")) + record("GNU.sparse.minor", "0")
		text += record("GNU.sparse.realsize", fmt.Sprint(end))
		front = count + "\n" + strings.Join(append(list, ""), "\n")
		if chance(3) {
			front = strings.Repeat("0", random.Intn(2000)) + front
		}
	}
	if chance(20) {
		text += records()
	}
	special(out, 'x', text)
	body := append(padded([]byte(front)), someData(data)...)
	if version != 2 {
		body = someData(data)
	}
	h := plain("ustar", one("0", "\x00", "0", one("0", "0", "0", "0", "5", "2"))[0], anyName(), int64(len(body)))
	h.checksum()
	out.Write(h[:])
	out.Write(padded(body))
}

func member(out *bytes.Buffer) {
	if chance(40) {
		special(out, 'x', records())
	}
	if chance(10) {
		special(out, one("L", "K")[0], one(strings.Repeat("long/", 60), "n\x00rest", "", "\x00", "slash/", "x\x00")+
			one("", "\x00"))
	}
	if chance(5) {
		special(out, 'g', records())
	}
	switch {
	case chance(15):
		oldSparse(out)
		return
	case chance(20):
		paxSparse(out)
		return
	}
	kind := one("0", "0", "0", "0", "\x00", "\x00", "1", "2", "3", "4", "5", "5", "6")[0]
	if chance(1) {
		kind = one("7", "8", "A", "V", "M", "D", "N", "X", "\xff", " ")[0]
	}
	data := random.Intn(3) * random.Intn(700)
	h := plain(one("ustar", "ustar", "gnu", "gnu", "star", "v7"), kind, anyName(), int64(data))
	h.put(157, 100, one("", "target", "dir/../x", strings.Repeat("l", 100)))
	h.checksum()
	out.Write(h[:])
	if kind < '1' || kind > '6' || chance(10) {
		out.Write(padded(someData(data)))
	}
}

// damage changes what a broken disk or a hostile author would change.
func damage(data []byte) []byte {
	if len(data) == 0 {
		return data
	}
	at := random.Intn(len(data))
	switch random.Intn(8) {
	case 0:
		return data[:at]
	case 1:
		return data[:at&^(block-1)]
	case 2:
		data[at] ^= 1 << random.Intn(8)
	case 3: // a byte within a header, its checksum put right
		start := at &^ (block - 1)
		if start+block <= len(data) {
			h := new(header)
			copy(h[:], data[start:])
			h[random.Intn(block)] = byte(random.Intn(256))
			h.checksum()
			copy(data[start:], h[:])
		}
	case 4: // a block goes
		start := at &^ (block - 1)
		if start+block <= len(data) {
			return append(data[:start:start], data[start+block:]...)
		}
	case 5: // a block comes twice
		start := at &^ (block - 1)
		if start+block <= len(data) {
			return append(append(data[:start+block:start+block], data[start:start+block]...), data[start+block:]...)
		}
	case 6: // a block becomes zeros
		start := at &^ (block - 1)
		for i := start; i < start+block && i < len(data); i++ {
			data[i] = 0
		}
	case 7:
		return append(data, someData(random.Intn(1500))...)
	}
	return data
}

func main() {
	seed := flag.Int64("seed", 1, "of the random numbers")
	count := flag.Int("count", 1000, "archives to make")
	dir := flag.String("dir", ".", "where to put them")
	flag.Parse()
	random = rand.New(rand.NewSource(*seed))
	for i := 0; i < *count; i++ {
		var out bytes.Buffer
		for n := random.Intn(5); n >= 0; n-- {
			member(&out)
		}
		out.Write(make([]byte, block*[]int{2, 2, 2, 1, 0, 4}[random.Intn(6)]))
		data := out.Bytes()
		for chance(30) {
			data = damage(data)
		}
		path := filepath.Join(*dir, fmt.Sprintf("%06d.tar", i))
		if err := os.WriteFile(path, data, 0o644); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
