import Compression
import VitalModel

/// How foreign files are to be understood.
package struct ImportOptions {
  /// Where relative times count from, milliseconds since 1970.
  package var epoch: Int64 = RecordingOptions().epoch
  /// Everybody's name instead of what files say.
  package var patient: String?
  package var device: String?
  /// Columns and descriptions of the caller's own, before those the format knows.
  package var columns = ColumnMap()
  /// Whether to collect ``ImportSink/people``.
  package var wantsPeople = false

  package init() {}
}

/// Why something was left out that is not a fault: it is not a vital sign, or nobody measured.
package enum ImportOmission: String, Sendable, CaseIterable {
  /// Withdrawn by whoever sent it: `entered-in-error`, deleted, of another patient.
  case withdrawn
  /// A row, resource or segment that holds no number: an absent value, an invalid sample.
  case notMeasured = "not_measured"
  /// A resource, record or message of another kind.
  case otherKind = "other_kind"
  /// A vital the registry does not know.
  case unknownCode = "unknown_code"
}

/// What an import met.
package struct ImportCounts: Hashable, Sendable {
  package var files = 0
  /// Rows, resources, records or messages looked at.
  package var records = 0
  package var samples = 0
  package var patients = 0
  /// Refused values by reason.
  package var refused: [QuarantineReason: Int] = [:]
  package var omitted: [ImportOmission: Int] = [:]
  /// HL7: reference id and number of one code meant different vitals; the reference id was taken.
  package var disagreements = 0
  /// Earliest and latest event time of a sample, milliseconds since 1970.
  package var first: Int64?
  package var last: Int64?
}

/// A value that cannot be read. It holds no text of the file: that may be about a person.
package struct ImportRefusal: Hashable, Sendable {
  package var file: String
  /// From 1; 0: the file as a whole.
  package var line: Int
  /// Column, field or code.
  package var field: String
  package var reason: QuarantineReason
}

/// A judgement that a foreign file holds beside its samples.
package struct ImportedLabel: Hashable, Sendable {
  package var patient: String
  /// Milliseconds since 1970.
  package var onset: Int64
  package var label: String
}

/// What a foreign file says about a patient.
package struct ImportedPerson: Hashable, Sendable {
  package var patient: String
  /// As it stands; empty: not said.
  package var ageYears: String
  /// As it stands; empty: not said.
  package var sex: String
  package var rows: Int
}

/// Where importers put what they read: it becomes long CSV, and is counted.
package final class ImportSink {
  package let registry: VitalRegistry
  package let options: ImportOptions
  package private(set) var counts = ImportCounts()
  package private(set) var labels: [ImportedLabel] = []
  package private(set) var people: [ImportedPerson] = []
  /// Codes and columns nobody knows and how often they came, at most ``namesMax`` of them.
  package private(set) var unknown: [String: Int] = [:]

  /// Lower-case names of columns and descriptions looked for in the caller's map.
  private var columnsMet: Set<String> = []
  /// Columns of the caller's map that no file has, in order.
  package var columnsMissed: [String] { options.columns.targets.keys.filter { !columnsMet.contains($0) }.sorted() }

  /// Bound on ``unknown``.
  static let namesMax = 1000
  /// An identifier longer than this is none, bytes.
  static let identifierMax = 256
  private static let blockSize = 1 << 18

  private let write: ([UInt8]) throws(RecordingError) -> Void
  private let refused: (ImportRefusal) -> Void
  private var writer: LongCSVWriter
  private var patients = NameTable()
  private var file = ""

  /// - Parameters:
  ///   - refused: told of every refused value, in input order.
  ///   - write: given long CSV with a source column in blocks.
  package init(
    registry: VitalRegistry, options: ImportOptions = ImportOptions(),
    refused: @escaping (ImportRefusal) -> Void = { _ in },
    write: @escaping ([UInt8]) throws(RecordingError) -> Void
  ) {
    self.registry = registry
    self.options = options
    self.refused = refused
    self.write = write
    writer = LongCSVWriter(registry: registry, columns: .withSource)
  }

  /// Gives out what has not been written yet.
  package func finish() throws(RecordingError) { try write(writer.take()) }

  func begin(_ file: String) {
    self.file = file
    counts.files += 1
  }

  func countRecord() { counts.records += 1 }
  func countDisagreement() { counts.disagreements += 1 }

  /// One measured value; `device` empty: the patient.
  ///
  /// - Precondition: `time` lies in ``Timestamp/accepted``.
  func add(
    patient given: String, device: String, time: Int64, _ vital: ImportedVital, _ value: DecimalValue, line: Int
  ) throws(RecordingError) {
    let patient = options.patient ?? given
    guard !patient.isEmpty, patient.utf8.count <= ImportSink.identifierMax else {
      return refuse(line, "patient", .malformed)
    }
    _ = patients.number(of: patient)
    counts.patients = patients.count
    counts.samples += 1
    counts.first = min(counts.first ?? time, time)
    counts.last = max(counts.last ?? time, time)
    let name = options.device ?? (device.isEmpty || device.utf8.count > ImportSink.identifierMax ? patient : device)
    writer.append(
      ExportedRow(tenant: "", patient: patient, device: name, time: time),
      cell: RecordedCell(code: vital.code, unit: vital.unit, value: value), source: vital.source)
    if writer.count >= ImportSink.blockSize { try write(writer.take()) }
  }

  func refuse(_ line: Int, _ field: String, _ reason: QuarantineReason) {
    counts.refused[reason, default: 0] += 1
    refused(ImportRefusal(file: file, line: line, field: field, reason: reason))
  }

  func omit(_ why: ImportOmission, count: Int = 1) {
    if count > 0 { counts.omitted[why, default: 0] += count }
  }

  /// A value under a name nobody knows.
  func omit(unknown name: String, count: Int = 1) {
    guard count > 0 else { return }
    omit(.unknownCode, count: count)
    let short = String(name.prefix(60))
    if unknown[short] != nil || unknown.count < ImportSink.namesMax { unknown[short, default: 0] += count }
  }

  /// A code as it may be shown: free text in its place may be about a person, and is only counted.
  static func codeName(_ text: String) -> String {
    let isCode = text.utf8.allSatisfy { byte in
      (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte | 0x20) || "-_.:".utf8.contains(byte)
    }
    let hasMark = text.hasPrefix("MDC_") || text.utf8.contains { (0x30...0x39).contains($0) }
    return isCode && hasMark && text.utf8.count <= 40 ? text : "free text"
  }

  func add(label: String, patient: String, onset: Int64) {
    labels.append(ImportedLabel(patient: options.patient ?? patient, onset: onset, label: label))
  }

  func add(_ person: ImportedPerson) { if options.wantsPeople { people.append(person) } }

  /// What a column or description means by the caller's map, else by the format's own, else by the registry; nil: nobody
  /// knows it.
  func vital(named name: String, _ own: ColumnMap) throws(RecordingError) -> ImportedVital? {
    let lower = name.lowercased()
    columnsMet.insert(lower)
    let map = options.columns.targets[lower] != nil || options.columns.ignored.contains(lower) ? options.columns : own
    guard let found = try WideCSVParser.vital(lower, registry, map) else { return nil }
    return ImportedVital(code: found.code, unit: found.unit, source: found.source ?? "")
  }
}

/// A vital in one of its units.
struct ImportedVital: Hashable {
  var code: VitalCode
  /// Position in ``VitalDefinition/units``.
  var unit: UInt8
  /// Empty: none given.
  var source = ""
}

extension VitalRegistry {
  /// A vital in the first of some names of one unit that it accepts; nil: in none of them.
  func vital(_ code: VitalCode, unit names: [String], source: String = "") -> ImportedVital? {
    let units = self[code].units
    for name in names {
      if let place = units.firstIndex(where: { $0.unit == name }) {
        return ImportedVital(code: code, unit: UInt8(clamping: place), source: source)
      }
    }
    return nil
  }
}

/// Turns the files of one format into samples.
package protocol Importer {
  /// Reads one file from front to back. What cannot be read is refused value by value.
  ///
  /// - Throws: what makes the file unreadable from here on; what was given out before stands.
  func read(_ file: RecordingFile, into sink: ImportSink) throws(RecordingError)
}

extension ImportFormat {
  /// The importer of files of this format.
  package var importer: any Importer {
    switch self {
    case .psv: PSVImporter()
    case .wfdb: WFDBImporter()
    case .vitalDB: TimedTableImporter(names: .vitalDB)
    case .appleHealth: AppleHealthImporter()
    case .fhir: FHIRImporter()
    case .hl7: HL7Importer()
    }
  }
}
