import VitalModel

/// What an exported row needs: texts instead of numbers.
package struct ExportedRow {
  package var tenant: String
  package var patient: String
  package var device: String
  /// Milliseconds since 1970.
  package var time: Int64
  /// Nil: none.
  package var sequence: Int64?
  package var ingestTime: Int64?

  package init(
    tenant: String, patient: String, device: String, time: Int64, sequence: Int64? = nil, ingestTime: Int64? = nil
  ) {
    self.tenant = tenant
    self.patient = patient
    self.device = device
    self.time = time
    self.sequence = sequence
    self.ingestTime = ingestTime
  }

  /// A row as a reader gives it.
  package init(_ row: RecordedRow, names: RecordingNames) {
    self.init(
      tenant: names.tenants[row.tenant], patient: names.patients[row.patient], device: names.devices[row.device],
      time: row.time, sequence: row.sequence == RecordedRow.absent ? nil : row.sequence,
      ingestTime: row.ingestTime == RecordedRow.absent ? nil : row.ingestTime)
  }
}

/// Writes long CSV into a buffer that the caller empties with ``take()``.
package struct LongCSVWriter {
  private let registry: VitalRegistry
  private let columns: Columns
  private var bytes: [UInt8] = []

  /// Which columns stand behind the six that always do.
  package enum Columns: Sendable {
    case plain, withSource
    /// Source, status, quality, seq, tenant, ingest_time and flags: nothing is lost.
    case full
  }

  package init(registry: VitalRegistry, full: Bool) { self.init(registry: registry, columns: full ? .full : .plain) }

  package init(registry: VitalRegistry, columns: Columns) {
    self.registry = registry
    self.columns = columns
    put("patient,device,time,code,value,unit")
    switch columns {
    case .plain: put("\n")
    case .withSource: put(",source\n")
    case .full: put(",source,status,quality,seq,tenant,ingest_time,flags\n")
    }
  }

  /// Bytes waiting.
  package var count: Int { bytes.count }

  /// Gives out what was written since the last call.
  package mutating func take() -> [UInt8] {
    defer { bytes.removeAll(keepingCapacity: true) }
    return bytes
  }

  /// Appends one line per cell.
  package mutating func append(_ row: ExportedRow, cell: RecordedCell, source: String) {
    let vital = registry[cell.code]
    quoted(row.patient)
    put(",")
    quoted(row.device)
    put(",")
    put(Timestamp.format(row.time))
    put(",")
    put(vital.key)
    put(",")
    put(CellExport.value(cell, vital))
    put(",")
    quoted(CellExport.unit(cell, vital))
    switch columns {
    case .plain: break
    case .withSource:
      put(",")
      quoted(source)
    case .full: appendRest(row, cell, source)
    }
    put("\n")
  }

  private mutating func appendRest(_ row: ExportedRow, _ cell: RecordedCell, _ source: String) {
    put(",")
    quoted(source)
    put(",")
    if cell.status != .ok { put(cell.status.text) }
    put(",")
    put(cell.quality.text ?? "")
    put(",")
    put(row.sequence.map(String.init) ?? "")
    put(",")
    quoted(row.tenant)
    put(",")
    put(row.ingestTime.map(Timestamp.format) ?? "")
    put(",")
    put(FlagWords.text(cell.flags))
  }

  private mutating func put(_ text: String) { bytes.append(contentsOf: text.utf8) }

  /// RFC 4180; a line break in a name becomes a space, because readers of lines cannot hold it.
  private mutating func quoted(_ text: String) {
    guard text.utf8.contains(where: { $0 == 0x22 || $0 == 0x2C || $0 == 10 || $0 == 13 || $0 == 32 || $0 == 9 }) else {
      return put(text)
    }
    bytes.append(0x22)
    for byte in text.utf8 {
      if byte == 0x22 { bytes.append(0x22) }
      bytes.append(byte == 10 || byte == 13 ? 32 : byte)
    }
    bytes.append(0x22)
  }
}

/// Writes native JSON lines with tenant, device, patient and channel in front.
package struct JSONLinesWriter {
  private let registry: VitalRegistry
  private var bytes: [UInt8] = []

  package init(registry: VitalRegistry) { self.registry = registry }

  /// Bytes waiting.
  package var count: Int { bytes.count }

  /// Gives out what was written since the last call.
  package mutating func take() -> [UInt8] {
    defer { bytes.removeAll(keepingCapacity: true) }
    return bytes
  }

  /// Appends one line for the message; `sources` gives each cell's source, empty for none.
  package mutating func append(
    _ row: ExportedRow, cells: UnsafeBufferPointer<RecordedCell>, source: (RecordedCell) -> String
  ) {
    var json = JSONText()
    json.object { out in
      out.field("tenant", row.tenant)
      out.field("device", row.device)
      out.field("patient", row.patient)
      out.field("channel", "vitals")
      if let sequence = row.sequence { out.raw("seq", String(sequence)) }
      out.field("time", Timestamp.format(row.time))
      if let ingestTime = row.ingestTime { out.field("ingest_time", Timestamp.format(ingestTime)) }
      if let first = cells.first, first.flags.contains(.simulated) { out.field("simulated", true) }
      out.array("observations") { list in
        for cell in cells { append(cell, source(cell), to: &list) }
      }
    }
    bytes.append(contentsOf: json.bytes)
    bytes.append(10)
  }

  private func append(_ cell: RecordedCell, _ source: String, to list: inout JSONText) {
    let vital = registry[cell.code]
    list.object { out in
      out.field("code", vital.key)
      if vital.letters.isEmpty {
        out.field("value", cell.value)
        out.field("unit", CellExport.unit(cell, vital))
      } else {
        out.field("value", CellExport.value(cell, vital))
      }
      if let quality = cell.quality.text { out.raw("quality", quality) }
      if !source.isEmpty { out.field("source", source) }
      if cell.status != .ok { out.field("status", cell.status.text) }
      if cell.flags.contains(.corrected) { out.field("corrected", true) }
    }
  }
}

/// A cell's number and unit as received.
enum CellExport {
  static func value(_ cell: RecordedCell, _ vital: VitalDefinition) -> String {
    if !vital.letters.isEmpty, let number = cell.value.scaled(toExponent: 0),
      let letter = vital.letters.first(where: { $0.value == number })
    {
      return letter.text
    }
    return cell.value.description
  }

  static func unit(_ cell: RecordedCell, _ vital: VitalDefinition) -> String {
    let unit = Int(cell.unit)
    return vital.units.indices.contains(unit) ? vital.units[unit].unit : vital.unit
  }
}
