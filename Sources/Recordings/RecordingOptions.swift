import Compression
import Glibc
import VitalModel

/// How a recording is to be understood.
package struct RecordingOptions {
  /// Where relative `time_s` counts from: 2020-01-01T00:00:00Z unless told, milliseconds since 1970.
  package var epoch: Int64 = 1_577_836_800_000
  package var tenant = "demo"
  /// Device of every row of a wide CSV; nil: its patient id.
  package var device: String?
  package var columns = ColumnMap()
  /// Told of device alarms met in JSON lines.
  package var onEvent: ((RecordedEvent) -> Void)?

  package init() {}
}

/// What columns with names of their own mean.
package struct ColumnMap: Hashable, Sendable {
  package struct Target: Hashable, Sendable {
    package var key: String
    package var unit: String?
    package var source: String?
    package init(key: String, unit: String? = nil, source: String? = nil) {
      self.key = key
      self.unit = unit
      self.source = source
    }
  }

  /// By lower-case column name.
  package var targets: [String: Target] = [:]
  /// Lower-case names of columns to pass over without a warning.
  package var ignored: Set<String> = []

  package init() {}

  /// Adds `COLUMN=KEY[:UNIT]` as given to `--map`.
  ///
  /// - Returns: false if the text does not have that form.
  package mutating func add(argument: String) -> Bool {
    guard let equals = argument.firstIndex(of: "=") else { return false }
    let column = argument[..<equals]
    let target = argument[argument.index(after: equals)...]
    let colon = target.firstIndex(of: ":")
    let key = target[..<(colon ?? target.endIndex)]
    let unit = colon.map { String(target[target.index(after: $0)...]) }
    guard !column.isEmpty, !key.isEmpty, unit != "" else { return false }
    targets[column.lowercased()] = Target(key: String(key), unit: unit)
    return true
  }
}

/// What makes a recording unreadable as a whole, or from some line on.
package enum RecordingError: Error, Hashable, Sendable {
  case notFound(file: String)
  case io(file: String, code: Int32)
  case unwritable(file: String, code: Int32)
  /// Packed bytes end early; everything up to `line` was given out.
  case truncated(file: String, line: Int)
  /// Packed bytes are damaged; everything up to `line` was given out.
  case corrupt(file: String, line: Int, detail: String)
  /// Neither a CSV header Vigil knows nor JSON lines.
  case unknownShape(file: String)
  case missingColumn(file: String, name: String)
  /// A mapping names a key or a unit that is not in the registry.
  case badMapping(column: String, key: String, unit: String?)
  /// The file asks for what is not supported.
  case unsupported(file: String, what: String)
  /// A table's cell cannot be read.
  case badCell(file: String, line: Int, column: String)
  /// Rows cannot be put in order on disk.
  case temporary(folder: String, code: Int32)

  package init(_ error: CompressionError, file: String, line: Int) {
    self =
      switch error {
      case .truncated: .truncated(file: file, line: line)
      case .corrupt(let detail): .corrupt(file: file, line: line, detail: detail)
      case .tooLarge(let limit): .corrupt(file: file, line: line, detail: "larger than \(limit) bytes")
      case .outOfMemory: .corrupt(file: file, line: line, detail: "out of memory")
      case .notFound: .notFound(file: file)
      case .io(_, let code): .io(file: file, code: code)
      }
  }
}

extension RecordingError: CustomStringConvertible {
  /// One line that says what to do or where to look.
  package var description: String {
    switch self {
    case .notFound(let file): "\(file): no such file"
    case .io(let file, let code): "\(file): cannot be read (errno \(code))"
    case .unwritable(let file, let code):
      "\(file): cannot be written" + (code == ENOSPC ? " (no space left)" : " (errno \(code))")
    case .truncated(let file, let line): "\(file): ends in the middle of its packed data; read up to line \(line)"
    case .corrupt(let file, let line, let detail): "\(file): damaged after line \(line): \(detail)"
    case .unknownShape(let file):
      "\(file): not a recording; expected a header with patient_id and time_s, or patient,device,time,code,value,unit, "
        + "or JSON lines"
    case .missingColumn(let file, let name): "\(file): the header has no column \(name)"
    case .badMapping(let column, let key, let unit):
      "column \(column): the registry has no \(unit.map { "unit \($0) for \(key)" } ?? "vital sign \(key)")"
    case .unsupported(let file, let what): "\(file): \(what)"
    case .temporary(let folder, let code):
      "\(folder): the recording cannot be put in order there (errno \(code)); set TMPDIR to a folder with space for it"
    case .badCell(let file, let line, let column): "\(file): line \(line): cannot read \(column)"
    }
  }
}
