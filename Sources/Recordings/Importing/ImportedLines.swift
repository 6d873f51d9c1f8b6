import Compression
import VitalModel

/// Lines of a foreign file with their numbers.
struct ImportedLines {
  let scanner: LineScanner
  let file: RecordingFile
  let sink: ImportSink
  private var isFirst = true

  init(_ file: RecordingFile, sink: ImportSink, through filter: (any ByteSource) -> any ByteSource = { $0 })
    throws(RecordingError)
  {
    self.file = file
    self.sink = sink
    do { scanner = LineScanner(filter(try file.open())) } catch {
      throw RecordingError(error, file: file.name, line: 0)
    }
    sink.begin(file.name)
  }

  var number: Int { scanner.number }

  /// The next line with content, without a byte order mark; valid until the next call; nil at the end. Lines too long are
  /// refused and passed over.
  mutating func next() throws(RecordingError) -> UnsafeRawBufferPointer? {
    while true {
      let line: LineScanner.Line?
      do { line = try scanner.next() } catch { throw RecordingError(error, file: file.name, line: scanner.number) }
      switch line {
      case nil: return nil
      case .oversize: sink.refuse(scanner.number, "line", .oversize)
      case .text(var bytes):
        if isFirst, bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes = UnsafeRawBufferPointer(rebasing: bytes[3...]) }
        isFirst = false
        if !bytes.isEmpty { return bytes }
      }
    }
  }
}

extension UnsafeRawBufferPointer {
  /// `NaN` in any case, or nothing at all: not measured.
  var isNotMeasured: Bool {
    isEmpty || (count == 3 && self[0] | 32 == 0x6E && self[1] | 32 == 0x61 && self[2] | 32 == 0x6E)
  }

  /// The parts between separators, each without blanks around it.
  func parts(_ separator: UInt8) -> [UnsafeRawBufferPointer] {
    split(separator: separator, omittingEmptySubsequences: false).map {
      CellText.trimmed(UnsafeRawBufferPointer(rebasing: $0))
    }
  }

  var string: String { String(decoding: self, as: UTF8.self) }
}
