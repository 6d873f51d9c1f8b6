import Compression
import Foundation
import VitalModel

@testable import Recordings

/// A registry like the shipped one, as far as recordings need it.
let registry: VitalRegistry = {
  func vital(
    _ key: String, _ units: [String], aliases: [String: String] = [:], letters: [(text: String, value: Int64)] = []
  ) -> VitalDefinition {
    VitalDefinition(
      key: key, title: key, unit: units[0], units: units.map { UnitConversion(unit: $0) }, aliases: aliases,
      rejectBelow: DecimalValue(mantissa: -1000), rejectAbove: DecimalValue(mantissa: 1000), resolutionExponent: 0,
      staleness: 60_000, letters: letters)
  }
  return VitalRegistry([
    vital("hr", ["/min"]), vital("pr", ["/min"]), vital("spo2", ["%"]), vital("resp", ["/min"]),
    vital("sbp", ["mm[Hg]", "kPa"]), vital("dbp", ["mm[Hg]", "kPa"]), vital("map", ["mm[Hg]", "kPa"]),
    vital("temp", ["Cel", "[degF]"], aliases: ["temp_c": "Cel", "temp_f": "[degF]"]),
    vital("skin_temp", ["Cel"], aliases: ["skin_temp_c": "Cel"]), vital("etco2", ["mm[Hg]"]),
    vital("glucose", ["mmol/L", "mg/dL"], aliases: ["glucose_mgdl": "mg/dL"]),
    vital("lactate", ["mmol/L"], aliases: ["lactate_mmoll": "mmol/L"]), vital("abp_sys", ["mm[Hg]"]),
    vital("consciousness", ["1"], letters: [("A", 0), ("C", 1), ("V", 2), ("P", 3), ("U", 4)]),
  ])
}()

/// Bytes given out in blocks of a fixed size, so that lines fall across their borders.
struct BlockSource: ByteSource {
  var bytes: [UInt8]
  var block: Int
  /// Thrown when the bytes are used up; nil: an ordinary end.
  var failure: CompressionError?
  private var offset = 0

  init(_ text: String, block: Int = 7, failure: CompressionError? = nil) {
    bytes = Array(text.utf8)
    self.block = block
    self.failure = failure
  }

  mutating func read(into buffer: UnsafeMutableRawBufferPointer) throws(CompressionError) -> Int {
    let count = min(block, buffer.count, bytes.count - offset)
    if count == 0, let failure { throw failure }
    buffer.copyBytes(from: bytes[offset..<offset + count])
    offset += count
    return count
  }
}

/// A whole reading as text: one line a row, `patient device time: code=value unit@source ...`.
final class Reading {
  var rows: [String] = []
  var refusals: [RecordingRefusal] = []
  var error: RecordingError?
  var reader: RecordingReader

  init(_ text: String, block: Int = 7, failure: CompressionError? = nil, options: RecordingOptions = .init()) {
    var refused: [RecordingRefusal] = []
    reader = RecordingReader(
      [RecordingFile(name: "test", source: BlockSource(text, block: block, failure: failure))], registry: registry,
      options: options
    ) { refused.append($0) }
    do {
      try reader.forEach { row in
        rows.append(Reading.describe(row, reader.names))
        return true
      }
    } catch {
      self.error = error
    }
    refusals = refused
  }

  var counts: RecordingCounts { reader.counts }

  static func describe(_ row: RecordedRow, _ names: RecordingNames) -> String {
    let cells = row.cells.map { cell in
      let vital = registry[cell.code]
      let source = cell.source == 0 ? "" : "@\(names.sources[UInt32(cell.source)])"
      return "\(vital.key)=\(cell.value)\(cell.unit == 0 ? "" : " " + vital.units[Int(cell.unit)].unit)\(source)"
    }
    let time = Timestamp.format(row.time).dropFirst(11).dropLast(1)
    return "\(names.patients[row.patient]) \(names.devices[row.device]) \(time): \(cells.joined(separator: " "))"
  }
}

/// A file that is gone with the object.
final class TemporaryFile {
  let path: String
  init(_ name: String, _ bytes: [UInt8] = []) {
    let directory = NSTemporaryDirectory() + "recordings-" + UUID().uuidString
    try? FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    path = directory + "/" + name
    _ = FileManager.default.createFile(atPath: path, contents: Data(bytes))
  }
  deinit { try? FileManager.default.removeItem(atPath: (path as NSString).deletingLastPathComponent) }
}
