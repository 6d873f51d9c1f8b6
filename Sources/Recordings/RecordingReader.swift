/// Recordings in and out: wide CSV, long CSV and JSON lines, plain or packed, as rows of parsed cells; and back again.
///
/// Room `Recordings`: it says what stands in a file and refuses what cannot be read. It never judges a value (limits,
/// duplicates, pressures upside down: the shared intake does), never runs a rule, never asks what time it is.
import Compression
import VitalModel

/// Reads one or more recordings from front to back in bounded memory.
///
/// Not for use from two threads at once.
package final class RecordingReader {
  /// Patients, devices, tenants and sources met so far; rows carry their numbers. Source 0 is "none given".
  package let names: RecordingNames
  /// What was met so far.
  @exclusivity(unchecked) package private(set) var counts = RecordingCounts()
  /// Columns nobody knows, each once, with the number of its cells that were not empty.
  package private(set) var unknownColumns: [(name: String, cells: Int)] = []

  private let registry: VitalRegistry
  private let options: RecordingOptions
  private let refuse: (RecordingRefusal) -> Void
  private var files: [RecordingFile]
  @exclusivity(unchecked) private var nextFile = 0
  @exclusivity(unchecked) private var lines: LineScanner?
  @exclusivity(unchecked) private var parser: (any RecordingParser)?
  /// A line that was read and is to be parsed next.
  @exclusivity(unchecked) private var passedLine: LineScanner.Line?
  /// The parser of JSON lines while no rows of an earlier line wait in it.
  private var json: JSONLinesParser? {
    guard let json = parser as? JSONLinesParser, !json.hasMore else { return nil }
    return json
  }
  @exclusivity(unchecked) private var context: ParserContext
  /// Of each patient's rows so far the last in order.
  @exclusivity(unchecked) private var lastPlaces: [RowPlace] = []

  /// Files are opened when their turn comes; the packing is told by the first bytes of each.
  ///
  /// - Parameter refuse: told of every row or cell that cannot be read, in input order.
  package init(
    _ files: [RecordingFile], registry: VitalRegistry, options: RecordingOptions = RecordingOptions(),
    refuse: @escaping (RecordingRefusal) -> Void = { _ in }
  ) {
    names = RecordingNames()
    self.files = files
    self.registry = registry
    self.options = options
    self.refuse = refuse
    context = ParserContext(registry: registry, options: options, names: names)
  }

  /// The next message of the recording in input order, nil at the end. Its cells stay valid until the next call.
  ///
  /// - Throws: what makes the file unreadable from here on; what was given out before stands.
  package func next() throws(RecordingError) -> RecordedRow? {
    while true {
      if parser == nil {
        guard try openNextFile() else { return nil }
      }
      guard let row = try readRow() else {
        closeFile()
        continue
      }
      note(row)
      return row
    }
  }

  /// Calls `body` with every row until the end or until it returns false.
  package func forEach(_ body: (RecordedRow) -> Bool) throws(RecordingError) {
    while true {
      // Lines that need no decoder go by in a loop of their own.
      if let json, let lines, try !plainRows(json, lines, body) { return }
      guard let row = try next() else { return }
      if !body(row) { return }
    }
  }

  private func plainRows(
    _ json: JSONLinesParser, _ lines: LineScanner, _ body: (RecordedRow) -> Bool
  ) throws(RecordingError) -> Bool {
    let before = lines.number
    defer { settle() }
    do {
      let end = try json.forEachPlain(lines, &context) { row in
        note(row)
        return body(row)
      }
      passedLine = end.other
      counts.lines += lines.number - before - (end.other == nil ? 0 : 1)
      return end.isWanted
    } catch {
      throw RecordingError(error, file: files[nextFile - 1].name, line: lines.number)
    }
  }

  private func readRow() throws(RecordingError) -> RecordedRow? {
    while true {
      // The parsers are classes or small structs behind one existential; a row costs one dynamic call, a cell none.
      if let row = parser?.takeReady(&context) { return row }
      guard let line = try readLine() else { return parser?.finish(&context) }
      switch line {
      case .text(let bytes):
        if bytes.isEmpty { continue }
        counts.lines += 1
        let row = parser?.parse(bytes, line: lines?.number ?? 0, &context)
        settle()
        if let row { return row }
      case .oversize(let start):
        counts.lines += 1
        context.samples += 1
        context.refuse(line: lines?.number ?? 0, column: nil, .oversize, start, cells: 1)
        settle()
      }
    }
  }

  private func readLine() throws(RecordingError) -> LineScanner.Line? {
    if let line = passedLine {
      passedLine = nil
      return line
    }
    do {
      return try lines?.next()
    } catch {
      throw RecordingError(error, file: files[nextFile - 1].name, line: lines?.number ?? 0)
    }
  }

  /// Hands on what the parser counted and refused.
  private func settle() {
    counts.samples += context.samples
    context.samples = 0
    guard !context.refusals.isEmpty else { return }
    for var refusal in context.refusals {
      refusal.file = files[nextFile - 1].name
      counts.refused[refusal.reason, default: 0] += refusal.cells
      refuse(refusal)
    }
    context.refusals.removeAll(keepingCapacity: true)
  }

  private func note(_ row: RecordedRow) {
    counts.messages += 1
    counts.cells += row.cells.count
    let patient = Int(row.patient)
    while lastPlaces.count <= patient { lastPlaces.append(RowPlace(time: .min, device: 0, code: 0)) }
    let place = RowPlace(time: row.time, device: row.device, code: row.cells.first?.code.index ?? 0)
    if place.isBefore(lastPlaces[patient], names.devices) {
      counts.outOfOrder += 1
    } else {
      lastPlaces[patient] = place
    }
  }

  private func openNextFile() throws(RecordingError) -> Bool {
    guard nextFile < files.count else { return false }
    let file = files[nextFile]
    nextFile += 1
    var scanner: LineScanner
    do {
      scanner = LineScanner(try file.open())
      var first = try scanner.next()
      while case .text(let bytes)? = first, bytes.isEmpty { first = try scanner.next() }
      guard case .text(let header)? = first else { throw RecordingError.unknownShape(file: file.name) }
      parser = try makeParser(header: header, file: file.name)
      // In JSON lines the first line is data already.
      if parser is JSONLinesParser { scanner.unread() }
    } catch let error as CompressionError {
      throw RecordingError(error, file: file.name, line: 0)
    } catch let error as RecordingError {
      throw error
    } catch {
      throw RecordingError.unknownShape(file: file.name)
    }
    lines = scanner
    return true
  }

  private func makeParser(header: UnsafeRawBufferPointer, file: String) throws(RecordingError) -> any RecordingParser {
    let text = header.starts(with: [0xEF, 0xBB, 0xBF]) ? UnsafeRawBufferPointer(rebasing: header[3...]) : header
    if text.first == UInt8(ascii: "{") || text.first == UInt8(ascii: "[") {
      return JSONLinesParser(registry: registry)
    }
    let splitter = FieldSplitter()
    guard splitter.split(text) else { throw .unknownShape(file: file) }
    let columns = (0..<splitter.count).map { String(decoding: splitter[$0], as: UTF8.self) }
    if LongCSVParser.recognises(columns) { return try LongCSVParser(columns: columns, file: file) }
    return try WideCSVParser(columns: columns, file: file, registry: registry, options: options)
  }

  private func closeFile() {
    settle()
    if let wide = parser as? WideCSVParser {
      for (name, cells) in wide.unknownColumns {
        counts.skippedCells += cells
        if let known = unknownColumns.firstIndex(where: { $0.name == name }) {
          unknownColumns[known].cells += cells
        } else {
          unknownColumns.append((name, cells))
        }
      }
    }
    parser = nil
    lines = nil
  }
}

/// Where a row of a patient stands in the order of SEMANTICS B8: (time, device, code).
struct RowPlace {
  var time: Int64
  var device: UInt32
  /// Of its first cell, which has the lowest.
  var code: UInt16

  /// - Parameter devices: names, which compare by their bytes.
  @inline(__always)
  func isBefore(_ other: RowPlace, _ devices: NameTable) -> Bool {
    if time != other.time { return time < other.time }
    if device == other.device { return code < other.code }
    return other.time != .min && devices[device].utf8.lexicographicallyPrecedes(devices[other.device].utf8)
  }
}

/// One recording to read: a file, or bytes from anywhere.
package struct RecordingFile {
  /// For messages.
  package let name: String
  let open: () throws(CompressionError) -> any ByteSource

  /// The file at `path`; `-` is standard input.
  package init(path: String) {
    name = path == "-" ? "standard input" : path
    open = { () throws(CompressionError) in
      path == "-" ? try openByteSource(descriptor: 0, name: "standard input") : try openByteSource(path: path)
    }
  }

  /// Bytes that are unpacked already.
  package init(name: String, source: any ByteSource) {
    self.name = name
    open = { () throws(CompressionError) in source }
  }
}
