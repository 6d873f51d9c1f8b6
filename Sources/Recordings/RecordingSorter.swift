import VitalModel

/// A whole recording in memory, put in order: for playback in time, where patients must be merged, and for recordings
/// that are not in order themselves.
///
/// Costs 48 bytes a row for the row, 4 for its place and 24 bytes a cell while it lives. A recording already
/// grouped by patient and in order (`RecordingCounts/outOfOrder` 0) needs none of this for replay at full speed.
package final class RecordingSorter {
  package enum Order: Sendable {
    /// (time, patient, device): the merged stream of SEMANTICS B1.
    case byTime
    /// (patient, time, device): the journal order of SEMANTICS B8.
    case byPatient
  }

  private struct StoredRow {
    var time: Int64
    var sequence: Int64
    var ingestTime: Int64
    var firstCell: Int
    var patient: UInt32
    var device: UInt32
    var tenant: UInt32
    var cellCount: UInt32
  }

  private let names: RecordingNames
  private var rows: [StoredRow] = []
  private var cells: [RecordedCell] = []
  private var order: [UInt32] = []

  /// - Parameter names: those of the reader whose rows will be added.
  package init(names: RecordingNames) { self.names = names }

  package var count: Int { rows.count }

  /// Bytes held.
  package var memory: Int {
    rows.capacity * MemoryLayout<StoredRow>.stride + cells.capacity * MemoryLayout<RecordedCell>.stride
      + order.capacity * 4
  }

  /// Copies a row; its cells are put in the order of their codes, ties as they came.
  package func add(_ row: RecordedRow) {
    precondition(rows.count < Int(UInt32.max))
    let first = cells.count
    cells.append(contentsOf: row.cells)
    insertionSort(from: first)
    rows.append(
      StoredRow(
        time: row.time, sequence: row.sequence, ingestTime: row.ingestTime, firstCell: first, patient: row.patient,
        device: row.device, tenant: row.tenant, cellCount: UInt32(row.cells.count)))
  }

  /// Rows are short and mostly in order already.
  private func insertionSort(from first: Int) {
    for index in (first..<cells.count).dropFirst() {
      var place = index
      while place > first, cells[place - 1].code.index > cells[place].code.index {
        cells.swapAt(place - 1, place)
        place -= 1
      }
    }
    for index in first..<cells.count {
      if index == cells.count - 1 {
        cells[index].flags.insert(.endOfMessage)
      } else {
        cells[index].flags.remove(.endOfMessage)
      }
    }
  }

  /// Orders the rows; equal ones stay as they came. Names compare by their bytes, so that the order does not depend on
  /// which file was read first.
  package func sort(_ by: Order) {
    let patients = ranks(names.patients)
    let devices = ranks(names.devices)
    order = (0..<UInt32(rows.count)).map { $0 }
    rows.withUnsafeBufferPointer { rows in
      order.sort { a, b in
        let left = rows[Int(a)]
        let right = rows[Int(b)]
        if by == .byPatient, left.patient != right.patient {
          return patients[Int(left.patient)] < patients[Int(right.patient)]
        }
        if left.time != right.time { return left.time < right.time }
        if left.patient != right.patient { return patients[Int(left.patient)] < patients[Int(right.patient)] }
        if left.device != right.device { return devices[Int(left.device)] < devices[Int(right.device)] }
        return a < b
      }
    }
  }

  private func ranks(_ table: NameTable) -> [Int] {
    let sorted = table.texts.indices.sorted { table.texts[$0].utf8.lexicographicallyPrecedes(table.texts[$1].utf8) }
    var ranks = [Int](repeating: 0, count: sorted.count)
    for (rank, number) in sorted.enumerated() { ranks[number] = rank }
    return ranks
  }

  /// Calls `body` with every row in order until it returns false. Cells are valid within the call.
  package func forEach(_ body: (RecordedRow) -> Bool) {
    precondition(order.count == rows.count, "sort first")
    cells.withUnsafeBufferPointer { cells in
      for number in order {
        let row = rows[Int(number)]
        let view = UnsafeBufferPointer(rebasing: cells[row.firstCell..<row.firstCell + Int(row.cellCount)])
        let goesOn = body(
          RecordedRow(
            patient: row.patient, device: row.device, tenant: row.tenant, time: row.time, sequence: row.sequence,
            ingestTime: row.ingestTime, cells: view))
        if !goesOn { return }
      }
    }
  }
}
