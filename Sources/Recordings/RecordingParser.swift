import VitalModel

/// Turns lines of one shape into rows.
protocol RecordingParser: AnyObject {
  /// Reads one line; returns a row when one is complete.
  func parse(_ line: UnsafeRawBufferPointer, line number: Int, _ context: inout ParserContext) -> RecordedRow?
  /// A further row that the last line completed.
  func takeReady(_ context: inout ParserContext) -> RecordedRow?
  /// The row still open at the end of the file.
  func finish(_ context: inout ParserContext) -> RecordedRow?
}

extension RecordingParser {
  func takeReady(_ context: inout ParserContext) -> RecordedRow? { nil }
  func finish(_ context: inout ParserContext) -> RecordedRow? { nil }
}

/// What all parsers of one reader share.
struct ParserContext {
  let registry: VitalRegistry
  let options: RecordingOptions
  let names: RecordingNames
  var samples = 0
  var refusals: [RecordingRefusal] = []

  mutating func refuse(
    line: Int, column: String?, _ reason: QuarantineReason, _ text: UnsafeRawBufferPointer, cells: Int,
    patient: UInt32? = nil, device: UInt32? = nil, time: Int64? = nil
  ) {
    refusals.append(
      RecordingRefusal(
        line: line, column: column, reason: reason, text: String(decoding: text.prefix(256), as: UTF8.self),
        cells: cells, patient: patient, device: device, time: time))
  }
}

/// Cells of the row under construction, given out in the order of their codes, ties as they came (SEMANTICS B8): what a row
/// says does not depend on the order of its columns or lines. Grows, never shrinks.
final class CellBuffer {
  private static let endOfMessage = SampleFlags.endOfMessage.rawValue
  @exclusivity(unchecked) private var isAscending = true
  @exclusivity(unchecked) private(set) var count = 0
  @exclusivity(unchecked) private var capacity: Int
  @exclusivity(unchecked) private var cells: UnsafeMutablePointer<RecordedCell>

  init(capacity: Int) {
    self.capacity = max(1, capacity)
    cells = .allocate(capacity: self.capacity)
  }

  deinit { cells.deallocate() }

  func clear() {
    count = 0
    isAscending = true
  }

  func append(_ cell: RecordedCell) {
    if count == capacity {
      let larger = UnsafeMutablePointer<RecordedCell>.allocate(capacity: capacity * 2)
      larger.update(from: cells, count: count)
      cells.deallocate()
      cells = larger
      capacity *= 2
    }
    if count > 0, cells[count - 1].code.index > cell.code.index { isAscending = false }
    cells[count] = cell
    count += 1
  }

  /// Rows are short and mostly in order already.
  private func sort() {
    for index in 1..<max(1, count) {
      let cell = cells[index]
      var place = index
      while place > 0, cells[place - 1].code.index > cell.code.index {
        cells[place] = cells[place - 1]
        place -= 1
      }
      cells[place] = cell
    }
    isAscending = true
  }

  /// Puts the cells in order and marks the last as the end of its message; the view holds until the next change.
  func closed() -> UnsafeBufferPointer<RecordedCell> {
    if !isAscending { sort() }
    if count > 0 {
      cells[count - 1].flags = SampleFlags(rawValue: cells[count - 1].flags.rawValue | CellBuffer.endOfMessage)
    }
    return UnsafeBufferPointer(start: cells, count: count)
  }
}

/// How texts of a recording become numbers.
enum CellText {
  /// Seconds from `epoch` with up to three decimals (more are cut to the millisecond, half up).
  static func relativeTime(_ text: UnsafeRawBufferPointer, epoch: Int64) -> Int64? {
    if let seconds = smallInteger(text) { return bounded(epoch + seconds * 1000) }
    guard let value = DecimalValue(ascii: text), let offset = value.scaled(toExponent: -3) else { return nil }
    let (sum, overflow) = epoch.addingReportingOverflow(offset)
    return overflow ? nil : bounded(sum)
  }

  /// RFC 3339, or a whole number since 1970: milliseconds, seconds if below 10^11 (CONTRACT section 2).
  static func absoluteTime(_ text: UnsafeRawBufferPointer) -> Int64? {
    if let time = Timestamp.parse(text) { return time }
    guard let value = DecimalValue(ascii: text), value.exponent == 0 else { return nil }
    return bounded(abs(value.mantissa) < 100_000_000_000 ? value.mantissa * 1000 : value.mantissa)
  }

  static func bounded(_ time: Int64) -> Int64? { Timestamp.accepted.contains(time) ? time : nil }

  /// Up to nine digits without sign or leading zero: nearly every time and most values.
  @inline(__always)
  static func smallInteger(_ text: UnsafeRawBufferPointer) -> Int64? {
    let count = text.count
    guard count > 0, count <= 9, let base = text.baseAddress else { return nil }
    var value: Int64 = 0
    for index in 0..<count {
      let digit = base.load(fromByteOffset: index, as: UInt8.self) &- 48
      guard digit <= 9 else { return nil }
      value = value &* 10 &+ Int64(digit)
    }
    return count > 1 && base.load(as: UInt8.self) == 48 ? nil : value
  }

  /// A number, or for vitals sent as letters one of their letters (case does not matter); nil or none: a number.
  @inline(__always)
  static func value(_ text: UnsafeRawBufferPointer, letters: [(text: String, value: Int64)]?) -> DecimalValue? {
    guard let letters, !letters.isEmpty else {
      if let small = smallInteger(text) { return DecimalValue(mantissa: small) }
      return DecimalValue(ascii: text)
    }
    let word = String(decoding: text, as: UTF8.self).lowercased()
    return letters.first { $0.text.lowercased() == word }.map { DecimalValue(mantissa: $0.value) }
  }

  /// White space around a cell means nothing.
  @inline(__always)
  static func trimmed(_ text: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    var start = 0
    var end = text.count
    while start < end, text[start] == 32 || text[start] == 9 { start += 1 }
    while end > start, text[end - 1] == 32 || text[end - 1] == 9 { end -= 1 }
    return UnsafeRawBufferPointer(rebasing: text[start..<end])
  }
}
