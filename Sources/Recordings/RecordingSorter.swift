import VitalModel

/// A whole recording put in order: for playback in time, where patients must be merged, and for recordings that are not
/// in order themselves.
///
/// Memory is bounded: what goes beyond a number of cells is put on disk as sorted runs, which are merged as rows are asked
/// for. In memory a row costs 48 bytes, 4 for its place and 24 a cell. A recording already grouped by patient and in order
/// (`RecordingCounts/outOfOrder` 0) needs none of this for replay at full speed.
package final class RecordingSorter {
  package enum Order: Sendable {
    /// (time, patient, device, code): the merged stream of SEMANTICS B1.
    case byTime
    /// (patient, time, device, code): the journal order of SEMANTICS B8.
    case byPatient
  }

  private let names: RecordingNames
  private let by: Order
  private let cellsMax: Int
  private var rows: [StoredRow] = []
  private var cells: [RecordedCell] = []
  private var order: [UInt32] = []
  private var runs: SortedRuns?
  private var failure: RecordingError?
  /// Rows added.
  package private(set) var count = 0

  /// About 150 MB with rows of a cell each, 60 MB with wide ones.
  package static let cellsMaxDefault = 2_000_000

  /// - Parameters:
  ///   - names: those of the reader whose rows will be added.
  ///   - cellsMax: cells kept in memory.
  package init(names: RecordingNames, by order: Order = .byTime, cellsMax: Int = RecordingSorter.cellsMaxDefault) {
    self.names = names
    by = order
    self.cellsMax = max(1, cellsMax)
  }

  /// Bytes held in memory before a merge.
  package var memory: Int {
    rows.capacity * MemoryLayout<StoredRow>.stride + cells.capacity * MemoryLayout<RecordedCell>.stride
      + order.capacity * 4
  }

  /// Copies a row; its cells are in the order of their codes.
  ///
  /// - Returns: false where disk space failed: ``forEach(_:)`` will say so, and more rows are of no use.
  @discardableResult
  package func add(_ row: RecordedRow) -> Bool {
    guard failure == nil else { return false }
    if !rows.isEmpty, cells.count + row.cells.count > cellsMax {
      do throws(RecordingError) {
        try spill()
      } catch {
        failure = error
        return false
      }
    }
    let first = cells.count
    cells.append(contentsOf: row.cells)
    rows.append(
      StoredRow(
        time: row.time, sequence: row.sequence, ingestTime: row.ingestTime, firstCell: UInt32(first),
        patient: row.patient,
        device: row.device, tenant: row.tenant, cellCount: UInt32(row.cells.count),
        code: UInt32(row.cells.first?.code.index ?? 0)))
    count += 1
    return true
  }

  /// Calls `body` with every row in order until it returns false; equal rows stay as they came. Names compare by their
  /// bytes, so that the order does not depend on which file was read first. Cells are valid within the call. Once, after
  /// the last row was added.
  ///
  /// - Throws: ``RecordingError/temporary(folder:code:)``.
  package func forEach(_ body: (RecordedRow) -> Bool) throws(RecordingError) {
    if let failure { throw failure }
    guard runs != nil else {
      sort(RowOrder(names, by))
      cells.withUnsafeBufferPointer { cells in
        for number in order where !body(rows[Int(number)].recorded(cells)) { return }
      }
      return
    }
    try spill()
    (rows, cells, order) = ([], [], [])
    try merge(body)
  }

  private func sort(_ ranks: RowOrder) {
    order = (0..<UInt32(rows.count)).map { $0 }
    rows.withUnsafeBufferPointer { rows in
      order.sort { a, b in
        let difference = ranks.difference(rows[Int(a)], rows[Int(b)])
        return difference != 0 ? difference < 0 : a < b
      }
    }
  }

  // MARK: On disk

  /// Names met later do not change how those met so far compare: a run stays in order.
  private func spill() throws(RecordingError) {
    guard !rows.isEmpty else { return }
    let runs: SortedRuns
    if let known = self.runs { runs = known } else { runs = try SortedRuns() }
    self.runs = runs
    sort(RowOrder(names, by))
    try cells.withUnsafeBufferPointer { cells throws(RecordingError) in
      for number in order { try runs.append(rows[Int(number)], cells) }
    }
    try runs.endRun()
    rows.removeAll(keepingCapacity: true)
    cells.removeAll(keepingCapacity: true)
  }

  /// The run with the earliest row gives the next one; of equal ones the run written first.
  private func merge(_ body: (RecordedRow) -> Bool) throws(RecordingError) {
    guard let runs else { return }
    let ranks = RowOrder(names, by)
    let cursors = try runs.cursors()
    /// A heap of numbers of cursors.
    var heap = Array(cursors.indices)
    func precedes(_ a: Int, _ b: Int) -> Bool {
      let difference = ranks.difference(cursors[a].row, cursors[b].row)
      return difference != 0 ? difference < 0 : a < b
    }
    func sink(_ start: Int) {
      var place = start
      while true {
        var least = place
        for child in [2 * place + 1, 2 * place + 2] where child < heap.count && precedes(heap[child], heap[least]) {
          least = child
        }
        guard least != place else { return }
        heap.swapAt(place, least)
        place = least
      }
    }
    for place in heap.indices.reversed() { sink(place) }
    while let first = heap.first {
      let cursor = cursors[first]
      guard body(cursor.recorded) else { return }
      if try !cursor.advance() {
        heap[0] = heap[heap.count - 1]
        heap.removeLast()
      }
      sink(0)
    }
  }
}

/// A row apart from its cells.
struct StoredRow: BitwiseCopyable {
  var time: Int64 = 0
  var sequence: Int64 = 0
  var ingestTime: Int64 = 0
  /// Among all cells in memory; 0 on disk, where a row's cells follow it.
  var firstCell: UInt32 = 0
  var patient: UInt32 = 0
  var device: UInt32 = 0
  var tenant: UInt32 = 0
  var cellCount: UInt32 = 0
  /// Of its first cell, which has the lowest. Wider than it need be: the size is to be the stride, both are written.
  var code: UInt32 = 0

  /// Its own of many rows' cells.
  func own(_ cells: UnsafeBufferPointer<RecordedCell>) -> UnsafeBufferPointer<RecordedCell> {
    UnsafeBufferPointer(rebasing: cells[Int(firstCell)..<Int(firstCell) + Int(cellCount)])
  }

  /// - Parameter cells: of many rows.
  func recorded(_ cells: UnsafeBufferPointer<RecordedCell>) -> RecordedRow {
    RecordedRow(
      patient: patient, device: device, tenant: tenant, time: time, sequence: sequence, ingestTime: ingestTime,
      cells: own(cells))
  }
}

/// How rows compare, with the names known when it was made.
private struct RowOrder {
  private let by: RecordingSorter.Order
  private let patients: [Int]
  private let devices: [Int]

  init(_ names: RecordingNames, _ by: RecordingSorter.Order) {
    self.by = by
    patients = RowOrder.ranks(names.patients)
    devices = RowOrder.ranks(names.devices)
  }

  /// Below zero: the left row comes first; zero: as they came.
  func difference(_ left: StoredRow, _ right: StoredRow) -> Int {
    if by == .byPatient, left.patient != right.patient {
      return patients[Int(left.patient)] - patients[Int(right.patient)]
    }
    if left.time != right.time { return left.time < right.time ? -1 : 1 }
    if left.patient != right.patient { return patients[Int(left.patient)] - patients[Int(right.patient)] }
    if left.device != right.device { return devices[Int(left.device)] - devices[Int(right.device)] }
    return Int(left.code) - Int(right.code)
  }

  private static func ranks(_ table: NameTable) -> [Int] {
    let sorted = table.texts.indices.sorted { table.texts[$0].utf8.lexicographicallyPrecedes(table.texts[$1].utf8) }
    var ranks = [Int](repeating: 0, count: sorted.count)
    for (rank, number) in sorted.enumerated() { ranks[number] = rank }
    return ranks
  }
}
