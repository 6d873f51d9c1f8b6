import Glibc

/// Sorted rows on disk: runs one after the other in a temporary file that has no name any more, so that nobody finds it
/// and it goes with the program.
///
/// The file is in `TMPDIR`, else in /var/tmp: it may become larger than memory, which /tmp can be.
final class SortedRuns {
  private let file: Int32
  private let folder: String
  private var ends: [Int] = []
  private var buffer: [UInt8] = []
  private var size = 0

  private static let bufferSize = 1 << 20

  init() throws(RecordingError) {
    let named = getenv("TMPDIR").map { String(cString: $0) } ?? ""
    folder = named.isEmpty ? "/var/tmp" : named
    var template = Array("\(folder)/vigil-sort-XXXXXX".utf8CString)
    let file = mkstemp(&template)
    guard file >= 0 else { throw .temporary(folder: folder, code: errno) }
    unlink(template)
    _ = fcntl(file, F_SETFD, FD_CLOEXEC)
    self.file = file
  }

  deinit { close(file) }

  /// Adds a row to the run being written.
  ///
  /// - Parameter cells: of many rows.
  func append(_ row: StoredRow, _ cells: UnsafeBufferPointer<RecordedCell>) throws(RecordingError) {
    var head = row
    head.firstCell = 0
    withUnsafeBytes(of: head) { buffer.append(contentsOf: $0) }
    buffer.append(contentsOf: UnsafeRawBufferPointer(row.own(cells)))
    if buffer.count >= SortedRuns.bufferSize { try write() }
  }

  /// The next row begins another run.
  func endRun() throws(RecordingError) {
    try write()
    buffer = []
    ends.append(size)
  }

  private func write() throws(RecordingError) {
    var done = 0
    while done < buffer.count {
      let count = buffer.withUnsafeBytes { pwrite(file, $0.baseAddress.map { $0 + done }, $0.count - done, size) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw .temporary(folder: folder, code: errno) }
      done += count
      size += count
    }
    buffer.removeAll(keepingCapacity: true)
  }

  /// Each run from its beginning, in the order they were written.
  func cursors() throws(RecordingError) -> [RunCursor] {
    var cursors: [RunCursor] = []
    for (start, end) in zip([0] + ends, ends) where start < end {
      cursors.append(try RunCursor(self, start..<end))
    }
    return cursors
  }

  /// Fills `target` from a place of the file.
  func read(_ target: UnsafeMutableRawBufferPointer, at offset: Int) throws(RecordingError) {
    var done = 0
    while done < target.count {
      let count = pread(file, target.baseAddress.map { $0 + done }, target.count - done, offset + done)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw .temporary(folder: folder, code: count < 0 ? errno : EIO) }
      done += count
    }
  }
}

/// One run, row by row.
final class RunCursor {
  private let runs: SortedRuns
  /// What is not in the buffer yet.
  private var rest: Range<Int>
  private var buffer: UnsafeMutableRawBufferPointer
  private var place = 0
  private var filled = 0
  private(set) var row = StoredRow()

  /// Some thousand rows; a row of more cells has as much as it needs.
  private static let bufferSize = 1 << 17
  /// Rows and cells are put one after the other: both keep this alignment.
  private static let alignment = 8

  /// - Parameter range: bytes of the run; at least one row.
  init(_ runs: SortedRuns, _ range: Range<Int>) throws(RecordingError) {
    self.runs = runs
    rest = range
    buffer = .allocate(byteCount: RunCursor.bufferSize, alignment: RunCursor.alignment)
    _ = try advance()
  }

  deinit { buffer.deallocate() }

  /// ``row`` with its cells, which are valid until the next ``advance()``.
  var recorded: RecordedRow {
    let first = place - Int(row.cellCount) * MemoryLayout<RecordedCell>.stride
    let bytes = UnsafeRawBufferPointer(rebasing: buffer[first..<place])
    return row.recorded(bytes.assumingMemoryBound(to: RecordedCell.self))
  }

  /// - Returns: false after the last row.
  func advance() throws(RecordingError) -> Bool {
    let head = MemoryLayout<StoredRow>.stride
    guard place < filled || !rest.isEmpty else { return false }
    try need(head)
    row = buffer.loadUnaligned(fromByteOffset: place, as: StoredRow.self)
    let size = head + Int(row.cellCount) * MemoryLayout<RecordedCell>.stride
    try need(size)
    place += size
    return true
  }

  /// Has so many bytes in the buffer from ``place`` on.
  private func need(_ count: Int) throws(RecordingError) {
    guard filled - place < count else { return }
    let left = filled - place
    var target = buffer
    if count > buffer.count {
      target = .allocate(byteCount: count, alignment: RunCursor.alignment)
    }
    if left > 0 {
      UnsafeMutableRawBufferPointer(rebasing: target[..<left]).copyMemory(
        from: UnsafeRawBufferPointer(rebasing: buffer[place..<filled]))
    }
    if count > buffer.count {
      buffer.deallocate()
      buffer = target
    }
    let more = min(buffer.count - left, rest.count)
    try runs.read(UnsafeMutableRawBufferPointer(rebasing: buffer[left..<left + more]), at: rest.lowerBound)
    rest = rest.lowerBound + more..<rest.upperBound
    (place, filled) = (0, left + more)
  }
}
