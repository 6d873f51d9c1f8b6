import Compression
import VitalModel

/// `export.xml` of Apple Health, unpacked from its archive: `Record` elements of vital signs, read as a stream.
///
/// Records inside a `Correlation` (blood pressure) stand in the file a second time by themselves and are passed over there.
/// A person's name never comes out: the patient is `--patient` or `apple-health`, a source is what it is (`watch`, `phone`,
/// `app`) and a number in order of appearance.
struct AppleHealthImporter: Importer {
  /// Sources told apart; later ones share the last number.
  static let sourcesMax = 1000

  private struct Kind {
    var key: String
    /// Their unit's text, and ours.
    var units: [String: String]
  }

  private static let prefix = "HKQuantityTypeIdentifier"

  /// What HealthKit calls `%` is a share from 0 to 1.
  private static let kinds: [String: Kind] = [
    "HeartRate": Kind(key: "hr", units: ["count/min": "/min", "count/s": "Hz"]),
    "OxygenSaturation": Kind(key: "spo2", units: ["%": "1"]),
    "RespiratoryRate": Kind(key: "resp", units: ["count/min": "/min", "count/s": "Hz"]),
    "BodyTemperature": Kind(key: "temp", units: ["degC": "Cel", "degF": "[degF]"]),
    "BloodPressureSystolic": Kind(key: "sbp", units: ["mmHg": "mm[Hg]", "kPa": "kPa"]),
    "BloodPressureDiastolic": Kind(key: "dbp", units: ["mmHg": "mm[Hg]", "kPa": "kPa"]),
    "BloodGlucose": Kind(key: "glucose", units: ["mg/dL": "mg/dL", "mmol/L": "mmol/L"]),
    "BodyMass": Kind(key: "weight", units: ["kg": "kg", "lb": "[lb_av]", "g": "g", "oz": "[oz_av]"]),
  ]

  func read(_ file: RecordingFile, into sink: ImportSink) throws(RecordingError) {
    let scanner: MarkupScanner
    var isHealth = false
    sink.begin(file.name)
    do {
      scanner = MarkupScanner(try file.open())
      var sources = Sources()
      var correlations = 0
      while try scanner.advance() {
        if scanner.isNamed("HealthData") { isHealth = true }
        if scanner.isNamed("Correlation") {
          if scanner.kind == .start { correlations += 1 } else if scanner.kind == .end { correlations -= 1 }
        }
        guard scanner.kind != .end, correlations <= 0, scanner.isNamed("Record") else { continue }
        sink.countRecord()
        try record(scanner, &sources, sink)
      }
    } catch let error as RecordingError {
      throw error
    } catch let error as CompressionError {
      throw RecordingError(error, file: file.name, line: 0)
    } catch {
      throw .unknownShape(file: file.name)
    }
    guard isHealth else {
      throw .unsupported(file: file.name, what: "not an export of Apple Health; expected XML with <HealthData>")
    }
    for _ in 0..<scanner.oversize { sink.refuse(scanner.line, "tag", .oversize) }
    if scanner.endsInside {
      throw .unsupported(
        file: file.name, what: "ends inside a tag, before </HealthData>: cut short? read up to line \(scanner.line)")
    }
  }

  private func record(
    _ scanner: MarkupScanner, _ sources: inout Sources, _ sink: ImportSink
  ) throws(RecordingError) {
    guard let type = scanner.attribute("type") else { return sink.refuse(scanner.line, "type", .malformed) }
    let name = type.hasPrefix(AppleHealthImporter.prefix) ? type.dropFirst(AppleHealthImporter.prefix.count) : ""
    guard let kind = AppleHealthImporter.kinds[String(name)], let code = sink.registry.code(kind.key) else {
      return sink.omit(.otherKind)
    }
    guard let time = scanner.attribute("startDate").flatMap(AppleHealthImporter.time) else {
      return sink.refuse(scanner.line, "startDate", .malformed)
    }
    // Glucose in mmol has the molar mass in its name: mmol<180.1558800000541>/L.
    let unit = scanner.attribute("unit").map { $0.hasPrefix("mmol<") ? "mmol/L" : $0 } ?? ""
    guard let known = kind.units[unit], let vital = sink.registry.vital(code, unit: [known]) else {
      return sink.refuse(scanner.line, kind.key, .unknownUnit)
    }
    guard let value = scanner.attribute("value").flatMap({ DecimalValue($0) }) else {
      return sink.refuse(scanner.line, kind.key, .malformed)
    }
    let device = sources.name(
      of: scanner.attribute("sourceName") ?? "", described: scanner.attribute("device") ?? "")
    try sink.add(
      patient: "apple-health", device: device, time: time, vital, value, line: scanner.line)
  }

  /// Milliseconds since 1970 of `2026-01-31 08:30:12 +0100`.
  static func time(_ text: String) -> Int64? {
    let bytes = Array(text.utf8)
    guard bytes.count == 25, bytes[10] == 32, bytes[19] == 32 else { return nil }
    let hours = String(decoding: bytes[20..<23], as: UTF8.self)
    let minutes = String(decoding: bytes[23..<25], as: UTF8.self)
    return Timestamp.parse(String(decoding: bytes[..<19], as: UTF8.self) + hours + ":" + minutes)
  }

  /// Names of sources that say nothing about their owner.
  private struct Sources {
    private var names: [String: String] = [:]

    mutating func name(of source: String, described: String) -> String {
      if let known = names[source] { return known }
      let text = (source + " " + described).lowercased()
      let kind = text.contains("watch") ? "watch" : text.contains("phone") ? "phone" : "app"
      let name = "\(kind)-\(min(names.count + 1, AppleHealthImporter.sourcesMax))"
      if names.count < AppleHealthImporter.sourcesMax { names[source] = name }
      return name
    }
  }
}
