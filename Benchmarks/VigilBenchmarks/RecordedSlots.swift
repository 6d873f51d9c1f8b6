import Configuration
import Decoding
import Foundation
import Pipeline
import Recordings
import Service
import VitalModel

/// A recording as the slots a replay gives its engine, decoded and admitted once, in memory.
final class RecordedSlots {
  private(set) var rows = 0
  private(set) var outOfOrder = 0
  private(set) var refused = 0
  private var slots: [Slot] = []
  private let directory: Pipeline.Directory
  private let intake: Intake
  private let screen: RowScreen
  private let names: RecordingNames

  init(_ path: String, files: RuleFiles, directory: Pipeline.Directory) throws {
    self.directory = directory
    intake = Intake(directory: directory, options: .init(identity: .payload, clock: .stream), history: nil)
    let registry = try files.registry()
    screen = RowScreen(registry: registry)
    let options = try RecordedSlots.options(path, files, registry)
    func open() -> RecordingReader {
      RecordingReader([RecordingFile(path: path)], registry: registry, options: options)
    }
    // One quick pass tells whether rows must be put in order of time first, as a replay does.
    let scout = open()
    try scout.forEach { _ in true }
    outOfOrder = scout.counts.outOfOrder
    let reader = open()
    names = reader.names
    if outOfOrder == 0 {
      try reader.forEach { row in
        take(row)
        return true
      }
    } else {
      let sorter = RecordingSorter(names: names)
      try reader.forEach { row in
        sorter.add(row)
      }
      try sorter.forEach { row in
        take(row)
        return true
      }
    }
    refused += reader.counts.refused.reduce(0) { $0 + ($1.key == .unknownCode ? 0 : $1.value) }
  }

  /// A recording's columns may have names of their own: `Rules/maps` tells them by the name of its folder.
  static func options(
    _ path: String, _ files: RuleFiles, _ registry: VitalRegistry
  ) throws -> RecordingOptions {
    var options = RecordingOptions()
    let folder = URL(fileURLWithPath: path).standardizedFileURL.deletingLastPathComponent().lastPathComponent
    guard let map = try files.columnMap(named: folder, registry: registry) else { return options }
    options.columns.ignored = map.ignored
    for (name, column) in map.columns {
      let units = registry[column.code].units
      let unit = units.indices.contains(column.unit) ? units[column.unit].unit : nil
      options.columns.targets[name] = .init(key: column.key, unit: unit, source: column.source)
    }
    return options
  }

  private func take(_ row: RecordedRow) {
    rows += 1
    var last: Slot?
    for (index, cell) in row.cells.enumerated() {
      let source = SourceText(names.sources[UInt32(cell.source)]) ?? SourceText()
      guard screen.isCredible(cell.value, unit: cell.unit, code: cell.code, source: source),
        !isContradicted(row, index)
      else {
        refused += 1
        continue
      }
      var slot = slot(row, cell)
      guard intake.admit(&slot, digest: 0) == .accepted else {
        refused += 1
        continue
      }
      if let last { slots.append(last) }
      slot.payload = UInt64(slots.count + 1)
      last = slot
    }
    if var last {
      last.flags.insert(.endOfMessage)
      slots.append(last)
    }
    intake.committed()
  }

  private func isContradicted(_ row: RecordedRow, _ index: Int) -> Bool {
    let cell = row.cells[index]
    return row.cells.enumerated().contains { other, candidate in
      guard other != index, candidate.source == cell.source else { return false }
      let mine = (cell.code, cell.value, cell.unit)
      let theirs = (candidate.code, candidate.value, candidate.unit)
      return screen.isContradiction(mine, theirs) || screen.isContradiction(theirs, mine)
    }
  }

  private func slot(_ row: RecordedRow, _ cell: RecordedCell) -> Slot {
    var slot = row.slot(cell)
    slot.patient = directory.patient(tenant: "demo", patient: names.patients[row.patient])
    slot.device = directory.device(tenant: "demo", device: names.devices[row.device])
    slot.source = directory.source(names.sources[UInt32(cell.source)])
    return slot
  }

  /// Calls `body` with everything, some thousands at a time.
  func forEachBatch(_ body: ([Slot]) -> Void) {
    for start in stride(from: 0, to: slots.count, by: 4096) {
      body(Array(slots[start..<min(start + 4096, slots.count)]))
    }
  }
}
