;; wordcount: the lines, words and bytes of every file in the first directory it is shown.
;;
;;     wasmrun --dir examples/data::/data:ro examples/wordcount.wat
;;
;; Written by hand for WASI preview1. All it can do to its host is in the imports below; what it may
;; do is up to whoever runs it: without a directory it says so and exits with 1.

(module
  ;; Each of these returns 0, or the number of an error.
  (import "wasi_snapshot_preview1" "fd_prestat_get"
    (func $fd_prestat_get (param $fd i32) (param $prestat i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_dir_name"
    (func $fd_prestat_dir_name (param $fd i32) (param $buf i32) (param $len i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_readdir"
    (func $fd_readdir (param $fd i32) (param $buf i32) (param $len i32) (param $cookie i64)
      (param $used i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param $dir i32) (param $lookup i32) (param $path i32) (param $len i32)
      (param $how i32) (param $rights i64) (param $inherited i64) (param $flags i32)
      (param $opened i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read"
    (func $fd_read (param $fd i32) (param $iovs i32) (param $count i32) (param $read i32)
      (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param $fd i32) (param $iovs i32) (param $count i32) (param $written i32)
      (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param $fd i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param $code i32)))

  (memory (export "memory") 4)

  ;; The memory, by address:
  (global $IOVEC   i32 (i32.const 0))       ;; a buffer and its length, for fd_read and fd_write
  (global $RESULT  i32 (i32.const 8))       ;; where a call leaves what it returns
  (global $SHOWN   i32 (i32.const 0x400))   ;; the name that was reported last
  (global $NEXT    i32 (i32.const 0x800))   ;; the smallest name found that comes after it
  (global $LINE    i32 (i32.const 0x1000))  ;; the line that is being put together
  (global $ENTRIES i32 (i32.const 0x10000)) ;; entries of the directory, 64 KiB
  (global $CHUNK   i32 (i32.const 0x20000)) ;; a piece of a file, 64 KiB
  (global $SIZE    i32 (i32.const 0x10000)) ;; of the two above

  (data $heading "   lines   words   bytes  ")
  (data $newline "\n")
  (data $total "total\n")
  (data $no_directory "wordcount: there is no directory to count in; map one: --dir DIR::/data\n")
  (data $unreadable "wordcount: cannot read ")

  (global $shown_len (mut i32) (i32.const 0))
  (global $next_len  (mut i32) (i32.const 0))
  (global $line_len  (mut i32) (i32.const 0))

  ;; Of the file that is being counted, and of all files.
  (global $lines (mut i64) (i64.const 0))
  (global $words (mut i64) (i64.const 0))
  (global $bytes (mut i64) (i64.const 0))
  (global $all_lines (mut i64) (i64.const 0))
  (global $all_words (mut i64) (i64.const 0))
  (global $all_bytes (mut i64) (i64.const 0))

  ;; The first directory is descriptor 3, after the three standard streams.
  (global $DIR i32 (i32.const 3))

  (func (export "_start")
    (if (call $fd_prestat_get (global.get $DIR) (global.get $RESULT))
      (then
        (memory.init $no_directory (global.get $LINE) (i32.const 0) (i32.const 72))
        (global.set $line_len (i32.const 72))
        (call $write_line (i32.const 2))
        (call $proc_exit (i32.const 1))))
    (call $head)
    (block $done
      (loop $each_file
        (br_if $done (i32.eqz (call $find_next)))
        (if (call $count)
          (then (call $report))
          (else (call $complain)))
        (br $each_file)))
    (call $put_number (global.get $all_lines))
    (call $put_number (global.get $all_words))
    (call $put_number (global.get $all_bytes))
    (call $put_gap)
    (memory.init $total (call $line_end) (i32.const 0) (i32.const 6))
    (call $extend (i32.const 6))
    (call $write_line (i32.const 1)))

  ;; The headings, and what the directory is called here: its length is at 4 of a prestat.
  (func $head
    (local $len i32)
    (memory.init $heading (global.get $LINE) (i32.const 0) (i32.const 26))
    (call $extend (i32.const 26))
    (local.set $len (i32.load offset=4 (global.get $RESULT)))
    (drop (call $fd_prestat_dir_name (global.get $DIR) (call $line_end) (local.get $len)))
    (call $extend (local.get $len))
    (call $put_newline)
    (call $write_line (i32.const 1)))

  ;; ---- the directory ---------------------------------------------------------------------------

  ;; Makes the smallest name after the one shown last the shown one; 0 when there is none left.
  ;; Directories have no order, so each round looks at all entries: few instructions, no sorting.
  (func $find_next (result i32)
    (local $cookie i64) (local $at i32) (local $end i32) (local $name i32) (local $len i32)
    (global.set $next_len (i32.const 0))
    (loop $each_buffer
      (if (call $fd_readdir (global.get $DIR) (global.get $ENTRIES) (global.get $SIZE)
            (local.get $cookie) (global.get $RESULT))
        (then (return (i32.const 0))))
      (local.set $at (global.get $ENTRIES))
      (local.set $end (i32.add (local.get $at) (i32.load (global.get $RESULT))))
      (block $end_of_buffer
        (loop $each_entry
          ;; An entry: cookie of the next one (8 bytes), inode (8), length of the name (4), type (1),
          ;; padding (3), the name. The last one in a buffer may be cut off.
          (local.set $name (i32.add (local.get $at) (i32.const 24)))
          (br_if $end_of_buffer (i32.gt_u (local.get $name) (local.get $end)))
          (local.set $len (i32.load offset=16 (local.get $at)))
          (br_if $end_of_buffer
            (i32.gt_u (i32.add (local.get $name) (local.get $len)) (local.get $end)))
          (local.set $cookie (i64.load (local.get $at)))
          ;; Type 4 is a regular file.
          (if (i32.eq (i32.load8_u offset=20 (local.get $at)) (i32.const 4))
            (then (call $offer (local.get $name) (local.get $len))))
          (local.set $at (i32.add (local.get $name) (local.get $len)))
          (br $each_entry)))
      ;; A full buffer means that there may be more.
      (br_if $each_buffer (i32.eq (i32.load (global.get $RESULT)) (global.get $SIZE))))
    (memory.copy (global.get $SHOWN) (global.get $NEXT) (global.get $next_len))
    (global.set $shown_len (global.get $next_len))
    (global.get $next_len))

  ;; Remembers a name if it comes after the shown one and before the best so far.
  (func $offer (param $name i32) (param $len i32)
    (if (i32.eqz (call $before (global.get $SHOWN) (global.get $shown_len)
                   (local.get $name) (local.get $len)))
      (then (return)))
    (if (global.get $next_len)
      (then
        (if (i32.eqz (call $before (local.get $name) (local.get $len)
                       (global.get $NEXT) (global.get $next_len)))
          (then (return)))))
    (memory.copy (global.get $NEXT) (local.get $name) (local.get $len))
    (global.set $next_len (local.get $len)))

  ;; Whether name a comes before name b, byte by byte.
  (func $before (param $a i32) (param $a_len i32) (param $b i32) (param $b_len i32) (result i32)
    (local $x i32) (local $y i32)
    (loop $each_byte
      (if (i32.eqz (local.get $b_len)) (then (return (i32.const 0))))
      (if (i32.eqz (local.get $a_len)) (then (return (i32.const 1))))
      (local.set $x (i32.load8_u (local.get $a)))
      (local.set $y (i32.load8_u (local.get $b)))
      (if (i32.ne (local.get $x) (local.get $y))
        (then (return (i32.lt_u (local.get $x) (local.get $y)))))
      (local.set $a (i32.add (local.get $a) (i32.const 1)))
      (local.set $b (i32.add (local.get $b) (i32.const 1)))
      (local.set $a_len (i32.sub (local.get $a_len) (i32.const 1)))
      (local.set $b_len (i32.sub (local.get $b_len) (i32.const 1)))
      (br $each_byte))
    (unreachable))

  ;; ---- a file ----------------------------------------------------------------------------------

  ;; Counts the shown file; 0 if it cannot be read.
  (func $count (result i32)
    (local $file i32) (local $error i32)
    (global.set $lines (i64.const 0))
    (global.set $words (i64.const 0))
    (global.set $bytes (i64.const 0))
    ;; Right 1 << 1 is reading.
    (if (call $path_open (global.get $DIR) (i32.const 0) (global.get $SHOWN) (global.get $shown_len)
          (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (global.get $RESULT))
      (then (return (i32.const 0))))
    (local.set $file (i32.load (global.get $RESULT)))
    (local.set $error (call $count_open (local.get $file)))
    (drop (call $fd_close (local.get $file)))
    (i32.eqz (local.get $error)))

  ;; Counts an open file to its end, or to an error, which it returns.
  (func $count_open (param $file i32) (result i32)
    (local $error i32) (local $at i32) (local $end i32) (local $byte i32) (local $in_word i32)
    (loop $each_chunk
      (i32.store (global.get $IOVEC) (global.get $CHUNK))
      (i32.store offset=4 (global.get $IOVEC) (global.get $SIZE))
      (local.set $error (call $fd_read (local.get $file) (global.get $IOVEC) (i32.const 1)
                          (global.get $RESULT)))
      (if (local.get $error) (then (return (local.get $error))))
      (if (i32.eqz (i32.load (global.get $RESULT))) (then (return (i32.const 0))))
      (local.set $at (global.get $CHUNK))
      (local.set $end (i32.add (local.get $at) (i32.load (global.get $RESULT))))
      (global.set $bytes
        (i64.add (global.get $bytes) (i64.extend_i32_u (i32.load (global.get $RESULT)))))
      (loop $each_byte
        (local.set $byte (i32.load8_u (local.get $at)))
        (if (i32.eq (local.get $byte) (i32.const 10))
          (then (global.set $lines (i64.add (global.get $lines) (i64.const 1)))))
        ;; A word starts where a space (or anything below it) ends.
        (if (i32.le_u (local.get $byte) (i32.const 32))
          (then (local.set $in_word (i32.const 0)))
          (else
            (if (i32.eqz (local.get $in_word))
              (then (global.set $words (i64.add (global.get $words) (i64.const 1)))))
            (local.set $in_word (i32.const 1))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br_if $each_byte (i32.lt_u (local.get $at) (local.get $end))))
      (br $each_chunk))
    (unreachable))

  ;; ---- the report ------------------------------------------------------------------------------

  (func $report
    (call $put_number (global.get $lines))
    (call $put_number (global.get $words))
    (call $put_number (global.get $bytes))
    (call $put_gap)
    (call $put_name)
    (call $write_line (i32.const 1))
    (global.set $all_lines (i64.add (global.get $all_lines) (global.get $lines)))
    (global.set $all_words (i64.add (global.get $all_words) (global.get $words)))
    (global.set $all_bytes (i64.add (global.get $all_bytes) (global.get $bytes))))

  (func $complain
    (memory.init $unreadable (global.get $LINE) (i32.const 0) (i32.const 23))
    (call $extend (i32.const 23))
    (call $put_name)
    (call $write_line (i32.const 2)))

  (func $line_end (result i32)
    (i32.add (global.get $LINE) (global.get $line_len)))

  (func $extend (param $len i32)
    (global.set $line_len (i32.add (global.get $line_len) (local.get $len))))

  (func $put_newline
    (memory.init $newline (call $line_end) (i32.const 0) (i32.const 1))
    (call $extend (i32.const 1)))

  (func $put_gap
    (memory.fill (call $line_end) (i32.const 32) (i32.const 2))
    (call $extend (i32.const 2)))

  (func $put_name
    (memory.copy (call $line_end) (global.get $SHOWN) (global.get $shown_len))
    (call $extend (global.get $shown_len))
    (call $put_newline))

  ;; A number, to the right of eight columns (or more, if it is longer): digits come last first.
  (func $put_number (param $value i64)
    (local $rest i64) (local $width i32) (local $at i32)
    (local.set $rest (local.get $value))
    (loop $each_digit
      (local.set $width (i32.add (local.get $width) (i32.const 1)))
      (local.set $rest (i64.div_u (local.get $rest) (i64.const 10)))
      (br_if $each_digit (i64.ne (local.get $rest) (i64.const 0))))
    (if (i32.lt_u (local.get $width) (i32.const 8))
      (then (local.set $width (i32.const 8))))
    (memory.fill (call $line_end) (i32.const 32) (local.get $width))
    (call $extend (local.get $width))
    (local.set $at (call $line_end))
    (loop $each_digit
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (i32.store8 (local.get $at)
        (i32.add (i32.const 48) (i32.wrap_i64 (i64.rem_u (local.get $value) (i64.const 10)))))
      (local.set $value (i64.div_u (local.get $value) (i64.const 10)))
      (br_if $each_digit (i64.ne (local.get $value) (i64.const 0)))))

  ;; Writes the line to a standard stream and empties it.
  (func $write_line (param $fd i32)
    (i32.store (global.get $IOVEC) (global.get $LINE))
    (i32.store offset=4 (global.get $IOVEC) (global.get $line_len))
    (drop (call $fd_write (local.get $fd) (global.get $IOVEC) (i32.const 1) (global.get $RESULT)))
    (global.set $line_len (i32.const 0)))
)
