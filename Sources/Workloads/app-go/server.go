// Values under keys over HTTP, and meanwhile: goroutines over channels, timers, garbage. Linked statically.
package main

import (
	"crypto/sha256"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

var (
	lock    sync.RWMutex
	values  = map[string][]byte{}
	ticks   int64
	jobs    int64
	garbage int64
	failed  atomic.Value
)

func fail(format string, arguments ...any) { failed.Store(fmt.Sprintf(format, arguments...)) }

type job struct {
	number int64
	answer chan [32]byte
}

func content(number int64) []byte { return []byte(fmt.Sprintf("job %d of this server", number)) }

func worker(queue chan job) {
	for each := range queue {
		each.answer <- sha256.Sum256(content(each.number))
	}
}

func boss(queue chan job) {
	for number := int64(1); ; number++ {
		answer := make(chan [32]byte)
		queue <- job{number, answer}
		if got := <-answer; got != sha256.Sum256(content(number)) {
			fail("job %d was answered %x", number, got)
		}
		atomic.AddInt64(&jobs, 1)
		time.Sleep(5 * time.Millisecond)
	}
}

func litter() {
	kept := map[int][]byte{}
	for round := 0; ; round++ {
		block := make([]byte, 8192)
		for each := range block {
			block[each] = byte(round + each)
		}
		kept[round%50] = block
		old := (round + 1) % 50
		if block, ok := kept[old]; ok {
			first := int(block[0])
			plain := make([]byte, len(block))
			for each := range plain {
				plain[each] = byte(first + each)
			}
			if crc32.ChecksumIEEE(plain) != crc32.ChecksumIEEE(block) {
				fail("a kept block of memory has changed")
			}
		}
		if round%100 == 0 {
			runtime.GC()
		}
		atomic.AddInt64(&garbage, 1)
		time.Sleep(10 * time.Millisecond)
	}
}

func serve(response http.ResponseWriter, request *http.Request) {
	key := request.URL.Path[1:]
	switch {
	case request.Method == "POST":
		body, err := io.ReadAll(request.Body)
		if err != nil {
			http.Error(response, err.Error(), 400)
			return
		}
		lock.Lock()
		values[key] = body
		lock.Unlock()
		io.WriteString(response, "stored")
	case key == "health":
		if why := failed.Load(); why != nil {
			fmt.Fprintf(response, "failed: %v", why)
			return
		}
		fmt.Fprintf(response, "ok %d %d %d",
			atomic.LoadInt64(&ticks), atomic.LoadInt64(&jobs), atomic.LoadInt64(&garbage))
	default:
		lock.RLock()
		value, ok := values[key]
		lock.RUnlock()
		if !ok {
			response.WriteHeader(404)
			return
		}
		response.Write(value)
	}
}

func main() {
	queue := make(chan job)
	for each := 0; each < 3; each++ {
		go worker(queue)
	}
	go boss(queue)
	go litter()
	go func() {
		for range time.Tick(20 * time.Millisecond) {
			atomic.AddInt64(&ticks, 1)
		}
	}()
	fmt.Fprintln(os.Stderr, http.ListenAndServe("127.0.0.1:"+os.Args[1], http.HandlerFunc(serve)))
	os.Exit(1)
}
