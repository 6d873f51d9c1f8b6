import ChunkCoding

extension ChunkRows {
  /// The rows of several chunks of one group as those of one: the n-th value of a series at one time stands in the n-th
  /// row of that time, values of older chunks first. Nothing is dropped.
  ///
  /// - Parameter sources: not empty, by first position: a later one holds later values.
  init(merging sources: [ChunkRows]) {
    self = ChunkRows(
      patient: sources[0].patient, device: sources[0].device, group: sources[0].group,
      firstPosition: sources.map(\.firstPosition).min() ?? 0, lastPosition: sources.map(\.lastPosition).max() ?? 0)
    var walks = sources.map { SourceWalk($0) }
    /// For each column here, the first column of its series.
    var series: [Int] = []
    for index in walks.indices { walks[index].targets = columns(for: walks[index].rows, &series) }
    var seen = [Int](repeating: 0, count: columns.count)
    times.reserveCapacity(sources.reduce(0) { $0 + $1.times.count })
    while let time = walks.lazy.compactMap(\.time).min() {
      let base = times.count
      for index in seen.indices { seen[index] = 0 }
      for index in walks.indices {
        while walks[index].time == time {
          walks[index].take { column, cell in
            let target = base + seen[series[column]]
            seen[series[column]] += 1
            if target == times.count { times.append(time) }
            columns[column].rows.append(UInt32(target))
            columns[column].cells.append(cell)
          }
        }
      }
    }
  }

  /// The columns here of each column of `rows`, made where missing.
  private mutating func columns(for rows: ChunkRows, _ series: inout [Int]) -> [Int] {
    rows.columns.map { source in
      if let known = columns.firstIndex(where: { $0.column == source.column }) { return known }
      let sibling = columns.firstIndex { $0.column.isSameSeries(as: source.column) }
      columns.append(ChunkColumnCells(source.column))
      series.append(sibling ?? columns.count - 1)
      return columns.count - 1
    }
  }

  /// The rows cut into as few pieces as `rowsMax` allows, about evenly; none spans more than `spanMax` ms, and rows of
  /// equal time stay together.
  func pieces(rowsMax: Int, spanMax: Int64) -> [ChunkRows] {
    split(spanMax: UInt64(spanMax)).flatMap { part -> [ChunkRows] in
      let count = part.times.count
      let pieces = (count + rowsMax - 1) / max(1, rowsMax)
      guard pieces > 1 else { return [part] }
      var ends: [Int] = []
      for piece in 1..<pieces {
        var end = count * piece / pieces
        while end < count, end > 0, part.times[end] == part.times[end - 1] { end += 1 }
        if end < count, end > ends.last ?? 0 { ends.append(end) }
      }
      return part.cut(before: ends)
    }
  }

  /// Takes out the cells `isUnwanted` names (event time, column number, row number), and rows left empty.
  ///
  /// - Returns: the rest, and how many cells went.
  func without(_ isUnwanted: (Int64, Int, UInt32) -> Bool) -> (rows: ChunkRows, dropped: Int) {
    var kept = self
    var isUsed = [Bool](repeating: false, count: times.count)
    var dropped = 0
    for index in columns.indices {
      kept.columns[index].rows.removeAll(keepingCapacity: true)
      kept.columns[index].cells.removeAll(keepingCapacity: true)
      for (row, cell) in zip(columns[index].rows, columns[index].cells) {
        if isUnwanted(times[Int(row)], index, row) {
          dropped += 1
          continue
        }
        isUsed[Int(row)] = true
        kept.columns[index].rows.append(row)
        kept.columns[index].cells.append(cell)
      }
    }
    guard dropped > 0 else { return (self, 0) }
    var numbers = [UInt32](repeating: 0, count: times.count)
    kept.times.removeAll(keepingCapacity: true)
    for row in times.indices where isUsed[row] {
      numbers[row] = UInt32(kept.times.count)
      kept.times.append(times[row])
    }
    for index in kept.columns.indices {
      for at in kept.columns[index].rows.indices {
        kept.columns[index].rows[at] = numbers[Int(kept.columns[index].rows[at])]
      }
    }
    kept.columns.removeAll { $0.cells.isEmpty }
    return (kept, dropped)
  }
}

/// How far a chunk is read.
private struct SourceWalk {
  let rows: ChunkRows
  /// The merged column of each of ours.
  var targets: [Int] = []
  private var row = 0
  private var cursors: [Int]

  init(_ rows: ChunkRows) {
    self.rows = rows
    cursors = [Int](repeating: 0, count: rows.columns.count)
  }

  /// Time of the next row, nil after the last.
  var time: Int64? { row < rows.times.count ? rows.times[row] : nil }

  /// Hands over the cells of the next row with their merged columns.
  mutating func take(_ body: (Int, ChunkCell) -> Void) {
    for index in rows.columns.indices {
      let at = cursors[index]
      guard at < rows.columns[index].rows.count, rows.columns[index].rows[at] == row else { continue }
      body(targets[index], rows.columns[index].cells[at])
      cursors[index] = at + 1
    }
    row += 1
  }
}
