import AlertJournal
import ChunkCoding
import Pipeline
import Recordings
import SeriesStore
import Service
import TabularFormats
import VitalModel

/// What `vigil export` writes.
enum ExportFormat: String {
  case csv, jsonl, arrow
  case fhir = "fhir-ndjson"
}

/// Stored rows on their way into a file.
struct SeriesExport {
  private(set) var samples = 0
  private(set) var rows = 0
  private(set) var patients: Set<UInt32> = []
  private let codes: Set<VitalCode>
  private var writer: any RowWriter
  private let output: RecordingOutput
  /// Bytes gathered before they are written.
  private static let flushBytes = 1 << 18

  /// - Parameters:
  ///   - groups: of which rows will come.
  ///   - codes: only these vitals; empty: all.
  init(
    access: StoreAccess, groups: [SeriesGroup], format: ExportFormat, isFull: Bool, codes: Set<VitalCode>,
    output path: String
  ) throws(CommandFailure) {
    self.codes = codes
    let table = ObservationTable(groups: groups, directory: access.directory, registry: access.registry)
    switch format {
    case .csv: writer = CSVRows(writer: LongCSVWriter(registry: access.registry, full: isFull), access.directory)
    case .jsonl: writer = LineRows(writer: JSONLinesWriter(registry: access.registry), access.directory)
    case .arrow:
      do throws(ArrowError) {
        writer = ArrowRows(writer: try ArrowStreamWriter(names: table.names), table: table)
      } catch {
        throw CommandFailure(ExitCode.failed, "\(access.path): \(error.description)")
      }
    case .fhir: writer = FHIRRows(writer: FHIRObservationWriter(names: table.names), table: table)
    }
    do throws(RecordingError) {
      output = try RecordingOutput(path: path)
    } catch {
      throw CommandFailure(ExitCode.failed, error.description)
    }
  }

  mutating func append(_ row: SeriesRow, _ group: SeriesGroup) throws {
    let hasAll = codes.isEmpty || row.cells.allSatisfy { codes.contains($0.column.code) }
    var chosen = row
    if !hasAll { chosen.cells.removeAll { !codes.contains($0.column.code) } }
    guard !chosen.cells.isEmpty else { return }
    try writer.append(chosen, group)
    rows += 1
    samples += chosen.cells.count
    patients.insert(group.patient)
    if writer.count > SeriesExport.flushBytes { try output.write(writer.take()) }
  }

  mutating func finish() throws {
    writer.finish()
    try output.write(writer.take())
    try output.finish()
  }
}

/// Turns stored rows into bytes.
private protocol RowWriter {
  /// Bytes waiting.
  var count: Int { get }
  mutating func append(_ row: SeriesRow, _ group: SeriesGroup) throws
  mutating func take() -> [UInt8]
  /// Writes what ends the format.
  mutating func finish()
}

extension RowWriter {
  mutating func finish() {}
}

/// Long CSV, one line a sample.
private struct CSVRows: RowWriter {
  private var writer: LongCSVWriter
  private let directory: Directory

  init(writer: LongCSVWriter, _ directory: Directory) {
    self.writer = writer
    self.directory = directory
  }

  var count: Int { writer.count }
  mutating func take() -> [UInt8] { writer.take() }

  mutating func append(_ row: SeriesRow, _ group: SeriesGroup) {
    var head = ExportedRow(row, group, directory)
    for cell in row.cells {
      head.sequence = cell.cell.deviceSequence
      head.ingestTime = cell.cell.ingestTime
      writer.append(head, cell: RecordedCell(cell), source: directory.sourceName(cell.column.source))
    }
  }
}

/// Native JSON lines, one a message.
private struct LineRows: RowWriter {
  private var writer: JSONLinesWriter
  private let directory: Directory

  init(writer: JSONLinesWriter, _ directory: Directory) {
    self.writer = writer
    self.directory = directory
  }

  var count: Int { writer.count }
  mutating func take() -> [UInt8] { writer.take() }

  /// Cells of one row that came in different messages go back into messages of their own, oldest first: a replay lets the
  /// last one stand.
  mutating func append(_ row: SeriesRow, _ group: SeriesGroup) {
    var head = ExportedRow(row, group, directory)
    var rest = row.cells
    while let first = rest.min(by: { $0.cell.ingestTime < $1.cell.ingestTime }) {
      let isSame = { (other: SeriesCell) in
        other.cell.deviceSequence == first.cell.deviceSequence && other.cell.ingestTime == first.cell.ingestTime
      }
      head.sequence = first.cell.deviceSequence
      head.ingestTime = first.cell.ingestTime
      let message = rest.filter(isSame).map(RecordedCell.init)
      message.withUnsafeBufferPointer { writer.append(head, cells: $0) { directory.sourceName($0.source) } }
      rest.removeAll(where: isSame)
    }
  }
}

private struct ArrowRows: RowWriter {
  var writer: ArrowStreamWriter
  let table: ObservationTable
  private var rows: [ObservationRow] = []

  init(writer: ArrowStreamWriter, table: ObservationTable) {
    self.writer = writer
    self.table = table
  }

  var count: Int { writer.count }
  mutating func take() -> [UInt8] { writer.take() }
  mutating func finish() { writer.finish() }

  mutating func append(_ row: SeriesRow, _ group: SeriesGroup) throws {
    rows.removeAll(keepingCapacity: true)
    try table.append(row, group, to: &rows)
    for row in rows { writer.append(row) }
  }
}

private struct FHIRRows: RowWriter {
  var writer: FHIRObservationWriter
  let table: ObservationTable
  private var rows: [ObservationRow] = []

  init(writer: FHIRObservationWriter, table: ObservationTable) {
    self.writer = writer
    self.table = table
  }

  var count: Int { writer.count }
  mutating func take() -> [UInt8] { writer.take() }

  mutating func append(_ row: SeriesRow, _ group: SeriesGroup) throws {
    rows.removeAll(keepingCapacity: true)
    try table.append(row, group, to: &rows)
    writer.append(rows)
  }
}

extension ExportedRow {
  fileprivate init(_ row: SeriesRow, _ group: SeriesGroup, _ directory: Directory) {
    let patient = directory.patientKey(group.patient)
    self.init(
      tenant: patient?.tenant ?? "", patient: patient?.patient ?? "", device: directory.deviceName(group.device),
      time: row.time)
  }
}

extension RecordedCell {
  fileprivate init(_ cell: SeriesCell) {
    self.init(code: cell.column.code, unit: cell.column.unit, value: cell.cell.value)
    statusRaw = cell.cell.statusRaw
    source = cell.column.source
    quality = cell.cell.quality
    flags = cell.cell.flags
  }
}
