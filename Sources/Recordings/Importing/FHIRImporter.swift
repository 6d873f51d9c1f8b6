import Decoding
import VitalModel

/// FHIR R4 Observations, one JSON resource a line, or bundles of them: vital signs by LOINC, MDC or our own code.
///
/// Only what the resource says is believed: no unit is guessed, a `<` before a number makes it no number. A withdrawn
/// observation (`entered-in-error`, `cancelled`) is passed over, so is one without a value.
struct FHIRImporter: Importer {
  /// Entries of a bundle read; more are refused.
  static let entriesMax = 10_000

  func read(_ file: RecordingFile, into sink: ImportSink) throws(RecordingError) {
    var lines = try ImportedLines(file, sink: sink)
    let reader = JSONReader()
    while let line = try lines.next() {
      guard let tape = reader.read(CellText.trimmed(line)) else {
        sink.countRecord()
        sink.refuse(lines.number, "resource", .malformed)
        continue
      }
      let root = JSONValue(reader: reader, tape: tape, index: 0)
      guard root.text("resourceType") == "Bundle" else {
        try FHIRObservation(root, sink, line: lines.number)?.read()
        continue
      }
      for (count, entry) in root.elements("entry").enumerated() {
        guard count < FHIRImporter.entriesMax else {
          sink.refuse(lines.number, "entry", .oversize)
          break
        }
        if let resource = entry["resource"] { try FHIRObservation(resource, sink, line: lines.number)?.read() }
      }
    }
  }
}

/// One Observation on its way into a sink.
private struct FHIRObservation {
  let resource: JSONValue
  let sink: ImportSink
  let line: Int
  let patient: String
  let device: String
  let time: Int64

  /// Nil: passed over or refused, and counted.
  init?(_ resource: JSONValue, _ sink: ImportSink, line: Int) {
    sink.countRecord()
    guard resource.text("resourceType") == "Observation" else {
      sink.omit(.otherKind)
      return nil
    }
    if let status = resource.text("status"), ["entered-in-error", "cancelled"].contains(status) {
      sink.omit(.withdrawn)
      return nil
    }
    guard let patient = sink.options.patient ?? FHIRObservation.name(resource["subject"]) else {
      sink.refuse(line, "subject", .malformed)
      return nil
    }
    let start =
      resource.text("effectiveDateTime") ?? resource.text("effectiveInstant")
      ?? resource["effectivePeriod"]?.text("start")
    guard let time = start.flatMap({ Timestamp.parse($0) }) else {
      sink.refuse(line, "effective", .malformed)
      return nil
    }
    self.resource = resource
    self.sink = sink
    self.line = line
    self.patient = patient
    self.time = time
    device = FHIRObservation.name(resource["device"]) ?? ""
  }

  func read() throws(RecordingError) {
    let parts = resource.elements("component")
    // A panel's own value is often absent, and its code that of the panel.
    if parts.isEmpty || resource["valueQuantity"] != nil || resource["valueCodeableConcept"] != nil {
      try read(resource)
    }
    for part in parts { try read(part) }
  }

  /// The value of an observation, or of one of its components.
  private func read(_ item: JSONValue) throws(RecordingError) {
    let quantity = item["valueQuantity"]
    let word = item["valueCodeableConcept"]
    guard let code = code(item) else {
      if quantity != nil || word != nil { sink.omit(unknown: codeName(item)) } else { sink.omit(.otherKind) }
      return
    }
    let vital = sink.registry[code]
    if let quantity { return try read(quantity, code, vital) }
    guard let word, !vital.letters.isEmpty else { return sink.omit(.notMeasured) }
    let texts = [word.text("text")] + word.elements("coding").map { $0.text("code") }
    let letter = vital.letters.first { letter in texts.contains { $0?.lowercased() == letter.text.lowercased() } }
    guard let letter else { return sink.refuse(line, vital.key, .malformed) }
    try add(ImportedVital(code: code, unit: 0, source: source), DecimalValue(mantissa: letter.value))
  }

  private func read(
    _ quantity: JSONValue, _ code: VitalCode, _ vital: VitalDefinition
  ) throws(RecordingError) {
    guard let number = quantity["value"] else { return sink.omit(.notMeasured) }
    guard quantity["comparator"] == nil, let value = number.number, vital.letters.isEmpty else {
      return sink.refuse(line, vital.key, .malformed)
    }
    let names = [quantity.text("code"), quantity.text("unit")].compactMap { $0 }
    guard let known = sink.registry.vital(code, unit: names, source: source) else {
      return sink.refuse(line, vital.key, .unknownUnit)
    }
    try add(known, value)
  }

  private func add(_ vital: ImportedVital, _ value: DecimalValue) throws(RecordingError) {
    try sink.add(patient: patient, device: device, time: time, vital, value, line: line)
  }

  private var source: String { SourceText(resource["method"]?.text("text") ?? "")?.string ?? "" }

  private static let systems: Set<String> = [FHIRWords.System.loinc, FHIRWords.System.mdc, FHIRWords.System.vital]

  private func code(_ item: JSONValue) -> VitalCode? {
    for coding in item["code"]?.elements("coding") ?? [] {
      guard let system = coding.text("system"), FHIRObservation.systems.contains(system), let code = coding.text("code")
      else { continue }
      if let found = sink.registry.code(code) { return found }
    }
    return nil
  }

  private func codeName(_ item: JSONValue) -> String {
    let codings = item["code"]?.elements("coding") ?? []
    return codings.lazy.compactMap { $0.text("code") }.first.map(ImportSink.codeName) ?? "no code"
  }

  /// Who or what a reference means: its identifier, else the last part of its address.
  private static func name(_ reference: JSONValue?) -> String? {
    guard let reference else { return nil }
    if let value = reference["identifier"]?.text("value"), !value.isEmpty { return value }
    return reference.text("reference")?.split(separator: "/").last.map(String.init)
  }
}

/// A value within a parsed JSON text; valid until the reader reads another.
struct JSONValue {
  let reader: JSONReader
  let tape: JSONTape
  let index: Int

  /// The longest text read as a name or code, bytes.
  static let textMax = 4096

  /// A member of an object; nil: no object, no such member, or null.
  subscript(key: StaticString) -> JSONValue? {
    guard tape.isKind(index, .object) else { return nil }
    let end = tape.next(index)
    var place = index + 1
    while place + 1 < end {
      if tape.bytes(place).elementsEqual(UnsafeRawBufferPointer(start: key.utf8Start, count: key.utf8CodeUnitCount)) {
        return tape.isKind(place + 1, .null) ? nil : JSONValue(reader: reader, tape: tape, index: place + 1)
      }
      place = tape.next(place + 1)
    }
    return nil
  }

  /// The elements of an array member; none if it is not one.
  func elements(_ key: StaticString) -> [JSONValue] {
    guard let list = self[key], tape.isKind(list.index, .array) else { return [] }
    var found: [JSONValue] = []
    let end = tape.next(list.index)
    var place = list.index + 1
    while place < end {
      found.append(JSONValue(reader: reader, tape: tape, index: place))
      place = tape.next(place)
    }
    return found
  }

  func text(_ key: StaticString) -> String? {
    guard let value = self[key] else { return nil }
    return reader.string(tape, value.index, limit: JSONValue.textMax)?.string
  }

  /// A JSON number exactly as it stands; nil for anything else, or more digits than can be held.
  var number: DecimalValue? { tape.isKind(index, .number) ? DecimalValue(ascii: tape.bytes(index)) : nil }
}
