import Compression
import Foundation
import Simulation
import VitalModel

@testable import Recordings

/// A registry like the shipped one, with the codes and conversions foreign formats use.
let codedRegistry: VitalRegistry = {
  func vital(
    _ key: String, _ units: [String], loinc: [String] = [], mdc: [MDCTerm] = [],
    letters: [(text: String, value: Int64)] = []
  ) -> VitalDefinition {
    VitalDefinition(
      key: key, title: key, loinc: loinc, mdc: mdc, unit: units[0],
      units: units.map { $0 == "1" ? UnitConversion(unit: "1", numerator: 100) : UnitConversion(unit: $0) },
      rejectBelow: DecimalValue(mantissa: -1000), rejectAbove: DecimalValue(mantissa: 1000), resolutionExponent: 0,
      staleness: 60_000, letters: letters)
  }
  let pressure = ["mm[Hg]", "mmHg", "kPa"]
  return VitalRegistry([
    vital("hr", ["/min", "bpm"], loinc: ["8867-4"], mdc: [MDCTerm(referenceID: "MDC_ECG_HEART_RATE", number: 147842)]),
    vital(
      "pr", ["/min"], loinc: ["8889-8"], mdc: [MDCTerm(referenceID: "MDC_PULS_OXIM_PULS_RATE", number: 149530)]),
    vital(
      "spo2", ["%", "1"], loinc: ["2708-6", "59408-5"],
      mdc: [MDCTerm(referenceID: "MDC_PULS_OXIM_SAT_O2", number: 150456)]),
    vital("resp", ["/min"], loinc: ["9279-1"], mdc: [MDCTerm(referenceID: "MDC_RESP_RATE", number: 151562)]),
    vital("sbp", pressure, loinc: ["8480-6"]), vital("dbp", pressure, loinc: ["8462-4"]),
    vital("map", pressure, loinc: ["8478-0"]), vital("abp_sys", pressure, loinc: ["76215-3"]),
    vital("abp_dia", pressure), vital("abp_mean", pressure),
    vital("temp", ["Cel", "[degF]"], loinc: ["8310-5"]), vital("etco2", pressure),
    vital("glucose", ["mg/dL", "mmol/L"]), vital("lactate", ["mmol/L"]), vital("fio2", ["%", "1"]),
    vital("weight", ["kg", "[lb_av]", "g", "[oz_av]"]),
    vital(
      "consciousness", ["{ACVPU}"], loinc: ["80288-4"],
      letters: [("A", 0), ("C", 1), ("V", 2), ("P", 3), ("U", 4)]),
  ])
}()

/// 2020-01-01T00:00:00Z.
let epoch: Int64 = 1_577_836_800_000

/// One value as a fixture writes it and as an import must give it back.
struct FixtureRow: Hashable {
  var patient: String
  var device: String
  var time: Int64
  var key: String
  var value: DecimalValue
  var unit: String
  var source: String

  var line: String { "\(patient),\(device),\(Timestamp.format(time)),\(key),\(value),\(unit),\(source)" }

  /// Three simulated patients for some minutes: numbers of vitals the registry above knows, in canonical units.
  static let ward: [FixtureRow] = {
    var ward = Ward(WardSettings(seed: 11, patients: 3, start: epoch))
    var rows: [FixtureRow] = []
    for _ in 0..<120 {
      for message in ward.next() {
        guard case .vitals(let observations) = message.content else { continue }
        for observation in observations {
          guard case .number(let value) = observation.value, observation.status == nil,
            let code = codedRegistry.code(observation.key),
            observation.unit == nil || observation.unit == codedRegistry[code].unit
          else { continue }
          rows.append(
            FixtureRow(
              patient: message.patient, device: message.device, time: message.time, key: observation.key, value: value,
              unit: codedRegistry[code].unit, source: observation.source ?? ""))
        }
      }
    }
    return rows
  }()

  static func ward(of keys: Set<String>) -> [FixtureRow] { ward.filter { keys.contains($0.key) } }
}

/// A whole import as text.
final class Imported {
  let sink: ImportSink
  private(set) var refusals: [String] = []
  private(set) var error: RecordingError?
  private(set) var lines: [String] = []

  convenience init(
    _ text: String, _ format: ImportFormat, name: String = "p1.txt", block: Int = 61,
    options: ImportOptions = ImportOptions()
  ) {
    self.init([RecordingFile(name: name, source: BlockSource(text, block: block))], format, options: options)
  }

  init(_ files: [RecordingFile], _ format: ImportFormat, options: ImportOptions = ImportOptions()) {
    var bytes: [UInt8] = []
    var refused: [String] = []
    sink = ImportSink(registry: codedRegistry, options: options) {
      refused.append("\($0.file):\($0.line): \($0.field): \($0.reason.rawValue)")
    } write: {
      bytes += $0
    }
    do {
      for file in files { try format.importer.read(file, into: sink) }
      try sink.finish()
    } catch {
      self.error = error
      try? sink.finish()
    }
    refusals = refused
    lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n").dropFirst().map(String.init)
  }

  var counts: ImportCounts { sink.counts }

  /// `key=value unit` of each sample.
  var values: [String] {
    lines.map { line in
      let cells = line.split(separator: ",", omittingEmptySubsequences: false)
      return "\(cells[3])=\(cells[4]) \(cells[5])"
    }
  }
}

/// Bytes that damage of many kinds could have left of a file: every beginning of it, and some with a byte changed.
func damaged(_ bytes: [UInt8], seed: UInt64, count: Int) -> [[UInt8]] {
  var state = seed
  func next(_ bound: Int) -> Int {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return Int((state >> 33) % UInt64(bound))
  }
  var results: [[UInt8]] = []
  for _ in 0..<count { results.append(Array(bytes.prefix(next(bytes.count + 1)))) }
  for _ in 0..<count {
    var copy = bytes
    for _ in 0..<(1 + next(6)) { copy[next(copy.count)] = UInt8(next(256)) }
    results.append(copy)
  }
  return results
}

extension Imported {
  /// Reads what damage could have left; whatever comes out, nothing may trap, and what is counted must be what was written.
  static func survive(_ bytes: [UInt8], _ format: ImportFormat, seed: UInt64 = 5, count: Int = 60) -> Bool {
    damaged(bytes, seed: seed, count: count).allSatisfy { bytes in
      let text = Data(bytes)
      let imported = Imported([RecordingFile(name: "p1", source: DataSource(bytes: Array(text)))], format)
      return imported.lines.count == imported.counts.samples
    }
  }
}

/// Bytes that need not be text.
struct DataSource: ByteSource {
  var bytes: [UInt8]
  private var offset = 0

  init(bytes: [UInt8]) { self.bytes = bytes }

  mutating func read(into buffer: UnsafeMutableRawBufferPointer) throws(CompressionError) -> Int {
    let count = min(509, buffer.count, bytes.count - offset)
    buffer.copyBytes(from: bytes[offset..<offset + count])
    offset += count
    return count
  }
}
