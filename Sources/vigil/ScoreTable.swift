import Compression
import Foundation
import Recordings
import VitalModel

/// One cell of a row to be scored.
struct ScoreCell {
  var column: String
  /// As written; nil: empty or null.
  var text: String?
  /// As JSON, for passing it through.
  var json: String
}

/// A row, or why it cannot be read.
enum ScoreRow {
  case cells([ScoreCell])
  case unreadable(String)
}

/// Rows of a CSV or of JSON lines, one at a time: CSV unless the first byte that is no space is `{`.
struct ScoreTable {
  /// The CSV's columns, or the keys of the first object, sorted.
  private(set) var columns: [String] = []
  /// Line of the row given out last, from 1.
  private(set) var line = 0
  private(set) var isJSON = false
  private var lines: TextLines
  private var pending: String?

  /// A longer line is refused, not held in memory.
  static let lineMax = 1 << 20

  /// - Throws: a failure to read, or no header.
  init(_ source: any ByteSource, name: String) throws(CommandFailure) {
    lines = TextLines(source, name: name)
    var first: String?
    while first == nil, let text = try lines.next() {
      line += 1
      if !text.allSatisfy(\.isWhitespace) { first = text.hasPrefix("\u{FEFF}") ? String(text.dropFirst()) : text }
    }
    guard let first else { throw CommandFailure(ExitCode.failed, "\(name): no rows and no header") }
    if first.first(where: { !$0.isWhitespace }) == "{" {
      isJSON = true
      pending = first
      line -= 1
      if case .cells(let cells) = ScoreTable.object(first) { columns = cells.map(\.column) }
    } else {
      guard let names = ScoreTable.fields(first) else {
        throw CommandFailure(ExitCode.failed, "\(name):\(line): a quoted column name is not closed")
      }
      columns = names.map { $0.trimmingCharacters(in: .whitespaces) }
    }
  }

  /// The next row that is not blank; nil at the end.
  mutating func next() throws(CommandFailure) -> ScoreRow? {
    while true {
      let held = pending
      pending = nil
      var text = held
      if text == nil { text = try lines.next() }
      guard let text else { return nil }
      line += 1
      if text.allSatisfy(\.isWhitespace) { continue }
      if text.utf8.count > ScoreTable.lineMax { return .unreadable("the line is longer than 1 MiB") }
      return isJSON ? ScoreTable.object(text) : record(text)
    }
  }

  // MARK: CSV

  private func record(_ text: String) -> ScoreRow {
    guard let fields = ScoreTable.fields(text) else { return .unreadable("a quoted cell is not closed on its line") }
    guard fields.count == columns.count else {
      return .unreadable("\(fields.count) cells under \(columns.count) columns")
    }
    return .cells(
      zip(columns, fields).map { column, field in
        let text = field.trimmingCharacters(in: .whitespaces)
        return ScoreCell(
          column: column, text: text.isEmpty ? nil : text,
          json: text.isEmpty ? "null" : ScoreTable.isNumber(text) ? text : ScoreTable.quoted(field))
      })
  }

  /// The fields of one line; quotes may hold commas, a doubled quote stands for one; nil if a quote is left open.
  static func fields(_ line: String) -> [String]? {
    var fields: [String] = []
    var field = ""
    var isQuoted = false
    var afterQuote = false
    for character in line {
      switch (character, isQuoted) {
      case ("\"", true):
        isQuoted = false
        afterQuote = true
        continue
      case ("\"", false):
        if afterQuote { field.append("\"") }
        isQuoted = true
      case (",", false):
        fields.append(field)
        field = ""
      default: field.append(character)
      }
      afterQuote = false
    }
    if isQuoted { return nil }
    fields.append(field)
    return fields
  }

  /// A cell as CSV writes it.
  static func csv(_ text: String) -> String {
    guard text.contains(where: { $0 == "," || $0 == "\"" || $0.isNewline }) else { return text }
    return "\"" + text.replacingOccurrences(of: "\"", with: "\"\"") + "\""
  }

  /// Whether JSON would take the text as a number and give it back unchanged: `007` is a name.
  private static func isNumber(_ text: String) -> Bool {
    let digits = text.hasPrefix("-") ? text.dropFirst() : text[...]
    guard let first = digits.first, first.isASCII, first.isNumber, digits.last?.isNumber == true else { return false }
    guard digits.allSatisfy({ $0.isASCII && ($0.isNumber || $0 == ".") }) else { return false }
    let parts = digits.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count <= 2 && (parts[0] == "0" || first != "0")
  }

  private static func quoted(_ text: String) -> String {
    var out = JSONText()
    out.element(text)
    return out.text
  }

  // MARK: JSON lines

  private static func object(_ text: String) -> ScoreRow {
    guard let value = try? JSONDecoder().decode(JSONCell.self, from: Data(text.utf8)), case .object(let members) = value
    else { return .unreadable("not a JSON object") }
    return .cells(
      members.sorted { $0.key < $1.key }.map { ScoreCell(column: $0.key, text: $0.value.text, json: $0.value.json) })
  }

  /// Any JSON value: what is not understood is passed through.
  private enum JSONCell: Decodable {
    case null
    case bool(Bool)
    case number(String)
    case string(String)
    case array([JSONCell])
    case object([String: JSONCell])

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      if container.decodeNil() {
        self = .null
      } else if let value = try? container.decode(Bool.self) {
        self = .bool(value)
      } else if let value = try? container.decode(Int64.self) {
        self = .number(String(value))
      } else if let value = try? container.decode(Double.self) {
        self = .number("\(value)")
      } else if let value = try? container.decode(String.self) {
        self = .string(value)
      } else if let value = try? container.decode([JSONCell].self) {
        self = .array(value)
      } else {
        self = .object(try container.decode([String: JSONCell].self))
      }
    }

    var text: String? {
      switch self {
      case .null: nil
      case .bool(let value): value ? "1" : "0"
      case .number(let text): text
      case .string(let text): text.allSatisfy(\.isWhitespace) ? nil : text
      case .array, .object: json
      }
    }

    var json: String {
      switch self {
      case .null: "null"
      case .bool(let value): value ? "true" : "false"
      case .number(let text): text
      case .string(let text): ScoreTable.quoted(text)
      case .array(let list): "[" + list.map(\.json).joined(separator: ",") + "]"
      case .object(let members):
        "{"
          + members.sorted { $0.key < $1.key }.map { ScoreTable.quoted($0.key) + ":" + $0.value.json }
          .joined(separator: ",") + "}"
      }
    }
  }
}

/// Lines of a byte source as text, without their line feeds; a carriage return before one does not count.
struct TextLines {
  private var source: any ByteSource
  private let name: String
  private var buffer: [UInt8] = []
  private var start = 0
  private var atEnd = false
  /// Lines given out so far.
  private var given = 0

  init(_ source: any ByteSource, name: String) {
    self.source = source
    self.name = name
  }

  mutating func next() throws(CommandFailure) -> String? {
    var searched = start
    while true {
      if let feed = buffer[searched...].firstIndex(of: 10) {
        defer { start = feed + 1 }
        return text(upTo: feed)
      }
      if atEnd {
        guard start < buffer.count else { return nil }
        defer { start = buffer.count }
        return text(upTo: buffer.count)
      }
      searched = buffer.count - start
      buffer.removeFirst(start)
      start = 0
      try fill()
      // Of a line beyond every bound only as much is kept as shows that it is.
      if searched > 2 * ScoreTable.lineMax, !atEnd {
        buffer.removeSubrange((ScoreTable.lineMax + 1)..<searched)
        searched = ScoreTable.lineMax + 1
      }
    }
  }

  private mutating func text(upTo end: Int) -> String {
    given += 1
    let stop = end > start && buffer[end - 1] == 13 ? end - 1 : end
    return String(decoding: buffer[start..<stop], as: UTF8.self)
  }

  private mutating func fill() throws(CommandFailure) {
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    var outcome: Result<Int, CompressionError> = .success(0)
    chunk.withUnsafeMutableBytes { raw in
      outcome = Result { () throws(CompressionError) in try source.read(into: raw) }
    }
    switch outcome {
    case .success(let count):
      buffer += chunk[..<count]
      atEnd = count == 0
    case .failure(let error):
      throw CommandFailure(ExitCode.failed, RecordingError(error, file: name, line: given).description)
    }
  }
}
