import VitalModel

/// Writes observations as an Arrow IPC stream into a buffer that the caller empties with ``take()``.
///
/// Schema, dictionaries and batches: `docs/formats/arrow.md`. All names are known beforehand, so that every dictionary stands
/// once, before the first batch: deltas and replaced dictionaries are not read by everything that reads Arrow.
package struct ArrowStreamWriter {
  /// Rows of a batch at most: what is held in memory.
  package static let rowsMax = 65_536
  /// Media type of a stream (IANA).
  package static let mediaType = "application/vnd.apache.arrow.stream"

  private let rowsPerBatch: Int
  private let units: PlaceTable
  private let letters: PlaceTable
  /// The numbers each vital's letters stand for.
  private let letterValues: [[Int64]]
  private var batch = ObservationColumns()
  private var pending: [UInt8] = []

  /// Writes schema and dictionaries.
  ///
  /// - Parameter rowsPerBatch: 1...`rowsMax`.
  package init(names: ObservationNames, rowsPerBatch: Int = rowsMax) throws(ArrowError) {
    precondition((1...ArrowStreamWriter.rowsMax).contains(rowsPerBatch))
    self.rowsPerBatch = rowsPerBatch
    let vitals = names.registry.vitals
    units = PlaceTable(vitals.map { $0.units.map(\.unit) })
    letters = PlaceTable(vitals.map { $0.letters.map(\.text) })
    letterValues = vitals.map { $0.letters.map(\.value) }
    pending = ArrowMessage.schema(
      ObservationColumns.fields, notes: [("vigil.table", "observations"), ("vigil.version", "1")])
    let dictionaries: [(ObservationColumns.Dictionary, [String])] = [
      (.tenant, names.tenants), (.patient, names.patients), (.device, names.devices), (.code, vitals.map(\.key)),
      (.source, names.sources), (.unit, units.texts), (.letter, letters.texts),
      (.status, SampleStatus.allCases.map(\.text)),
    ]
    for (dictionary, texts) in dictionaries {
      pending += try ArrowMessage.dictionary(dictionary.rawValue, texts)
    }
  }

  /// Bytes waiting.
  package var count: Int { pending.count }

  /// Gives out what was written since the last call: whole messages.
  package mutating func take() -> [UInt8] {
    defer { pending = [] }
    return pending
  }

  /// Adds a row.
  package mutating func append(_ row: ObservationRow) {
    let code = Int(row.code.index)
    let letter = letterValues[code].firstIndex { DecimalValue(mantissa: $0).isSameNumber(as: row.value) }
    batch.append(
      row, unit: units.place(code, Int(row.unit)) ?? units.place(code, 0) ?? 0,
      letter: letter.flatMap { letters.place(code, $0) })
    if batch.count == rowsPerBatch { flush() }
  }

  /// Writes what is left, and the end of the stream.
  package mutating func finish() {
    flush()
    pending += ArrowMessage.end
  }

  private mutating func flush() {
    guard batch.count > 0 else { return }
    pending += ArrowMessage.batch(batch.body)
    batch.removeAll()
  }
}

/// Places of the texts that belong to vitals, in one dictionary with each text once.
private struct PlaceTable {
  private(set) var texts: [String] = []
  private let places: [[Int32]]

  init(_ lists: [[String]]) {
    var numbers: [String: Int32] = [:]
    var texts: [String] = []
    places = lists.map { list in
      list.map { text in
        if let number = numbers[text] { return number }
        let number = Int32(texts.count)
        texts.append(text)
        numbers[text] = number
        return number
      }
    }
    self.texts = texts
  }

  func place(_ vital: Int, _ index: Int) -> Int32? {
    places[vital].indices.contains(index) ? places[vital][index] : nil
  }
}

/// Rows of one batch, column by column.
struct ObservationColumns {
  /// Numbers of the dictionaries in the stream.
  enum Dictionary: Int64 { case tenant, patient, device, code, source, unit, letter, status }

  static let fields: [ArrowMessage.Field] = [
    named("tenant", .tenant), named("patient", .patient), named("device", .device), named("code", .code),
    named("source", .source, isNullable: true), .init(name: "time", type: .timestamp),
    .init(name: "ingest_time", type: .timestamp), .init(name: "value", type: .float64), named("unit", .unit),
    .init(name: "mantissa", type: .int(bits: 64, isSigned: true)),
    .init(name: "exponent", type: .int(bits: 8, isSigned: true)), named("letter", .letter, isNullable: true),
    named("status", .status), .init(name: "quality", type: .float32, isNullable: true),
    .init(name: "seq", type: .int(bits: 64, isSigned: true), isNullable: true),
    .init(name: "flags", type: .int(bits: 16, isSigned: false)), .init(name: "superseded", type: .bool),
  ]

  private static func named(
    _ name: String, _ dictionary: Dictionary, isNullable: Bool = false
  ) -> ArrowMessage.Field {
    .init(name: name, type: .utf8, isNullable: isNullable, dictionary: dictionary.rawValue)
  }

  private(set) var count = 0
  private var tenants: [Int32] = []
  private var patients: [Int32] = []
  private var devices: [Int32] = []
  private var codes: [Int32] = []
  private var sources: [Int32] = []
  private var hasSource = ArrowBits()
  private var times: [Int64] = []
  private var ingestTimes: [Int64] = []
  private var values: [Double] = []
  private var units: [Int32] = []
  private var mantissas: [Int64] = []
  private var exponents: [Int8] = []
  private var letters: [Int32] = []
  private var hasLetter = ArrowBits()
  private var statuses: [Int32] = []
  private var qualities: [Float] = []
  private var hasQuality = ArrowBits()
  private var sequences: [Int64] = []
  private var hasSequence = ArrowBits()
  private var flags: [UInt16] = []
  private var superseded = ArrowBits()

  mutating func append(_ row: ObservationRow, unit: Int32, letter: Int32?) {
    count += 1
    tenants.append(row.tenant)
    patients.append(row.patient)
    devices.append(row.device)
    codes.append(Int32(row.code.index))
    sources.append(max(0, row.source))
    hasSource.append(row.source >= 0)
    times.append(row.time)
    ingestTimes.append(row.ingestTime)
    values.append(row.value.double)
    units.append(unit)
    mantissas.append(row.value.mantissa)
    exponents.append(row.value.exponent)
    letters.append(letter ?? 0)
    hasLetter.append(letter != nil)
    statuses.append(Int32(row.status.rawValue))
    // What is null is 0, so that equal rows are equal bytes.
    let quality = row.quality.value
    qualities.append(Float(quality ?? 0))
    hasQuality.append(quality != nil)
    sequences.append(row.sequence ?? 0)
    hasSequence.append(row.sequence != nil)
    flags.append(row.flags.rawValue)
    superseded.append(row.isSuperseded)
  }

  /// The buffers of all columns, in the order of ``fields``.
  var body: ArrowBody {
    var body = ArrowBody(rows: count)
    func column(_ values: [some BitwiseCopyable], _ validity: ArrowBits? = nil) {
      body.begin(nulls: validity?.zeros ?? 0, validity: validity)
      body.add(values)
    }
    column(tenants)
    column(patients)
    column(devices)
    column(codes)
    column(sources, hasSource)
    column(times)
    column(ingestTimes)
    column(values)
    column(units)
    column(mantissas)
    column(exponents)
    column(letters, hasLetter)
    column(statuses)
    column(qualities, hasQuality)
    column(sequences, hasSequence)
    column(flags)
    column(superseded.bytes)
    return body
  }

  mutating func removeAll() { self = ObservationColumns() }
}
