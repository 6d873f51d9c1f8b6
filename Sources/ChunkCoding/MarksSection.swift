import Compression
import VitalModel

// The marks of a modelled chunk: what cells carry besides time and number. See `docs/formats/chunk.md`.

/// How one kind of mark is kept.
private enum Mode: UInt8 {
  /// Every cell has what the last constant said (of the column before; at first the usual one); rows: all zero.
  case usual
  /// One value for all; rows: the first and the step.
  case constant
  /// A column of integers.
  case column
  /// Rows' delays and cells' quality only: coded behind the numbers.
  case coded
}

/// In a column's mode byte: the quality is the column before's, cell by cell.
private let qualityAsBefore: UInt8 = 64

/// Writes and reads the marks of a chunk.
struct MarksSection {
  /// The marks of the rows.
  private(set) var marks: RowMarks
  private let usualFlags: UInt16 = 0
  private let usualQuality: UInt16 = SampleQuality.absent.raw

  // MARK: Writing

  init(of rows: ChunkRows) { marks = RowMarks(of: rows) }

  /// Whether the delays scatter, so that the stamps' model suits them better than a column of integers.
  var hasScatteredDelays: Bool {
    // Changes of the step: constant delays have none, nor has a steady ramp.
    var changes = 0
    var step: Int64 = 0
    for index in marks.delays.indices.dropFirst() {
      let next = marks.delays[index] &- marks.delays[index - 1]
      if next != step { changes += 1 }
      step = next
    }
    let bound = Int64(1) << Int64(ResidualCoder.bitsMax - 2)
    return changes * 4 > marks.delays.count && changes > 4 && marks.delays.allSatisfy { (-bound...bound).contains($0) }
  }

  /// Positions of the columns whose quality scatters, so that a value model suits it better than a column of integers.
  static func scatteredQualities(_ rows: ChunkRows) -> [Int] {
    rows.columns.indices.filter { index in
      let cells = rows.columns[index].cells
      guard cells.count >= 16, !isQualityAsBefore(rows, index) else { return false }
      var runs = 1
      for cell in 1..<cells.count where cells[cell].quality != cells[cell - 1].quality { runs += 1 }
      return runs * 8 > cells.count
    }
  }

  /// Two numbers of one sensor, as pulse and saturation are, share their quality.
  private static func isQualityAsBefore(_ rows: ChunkRows, _ index: Int) -> Bool {
    guard index > 0 else { return false }
    let (column, before) = (rows.columns[index], rows.columns[index - 1])
    return column.rows == before.rows && zip(column.cells, before.cells).allSatisfy { $0.quality == $1.quality }
  }

  /// The section's bytes; none where every mark is the usual one.
  func bytes(
    _ rows: ChunkRows, scales: [ColumnPlan.Scale], codesDelays: Bool, codedQualities: [Int]
  ) -> [UInt8] {
    var writer = ByteWriter()
    for (column, scale) in zip(rows.columns, scales) where scale.listsExponents {
      writer.append(column: column.cells.count) { UInt64(UInt8(bitPattern: column.cells[$0].exponent)) }
    }
    var isUsual = writer.count == 0 && !codesDelays
    appendRows(rows, codesDelays: codesDelays, to: &writer, &isUsual)
    var usual: (quality: UInt64, status: UInt64, flags: UInt64) = (UInt64(usualQuality), 0, UInt64(usualFlags))
    for (index, column) in rows.columns.enumerated() {
      let place = writer.count
      writer.append(0)
      var modes = Mode.coded.rawValue
      if !codedQualities.contains(index) {
        let first = column.cells[0].quality
        let isConstant = column.cells.allSatisfy { $0.quality == first }
        modes =
          !isConstant && MarksSection.isQualityAsBefore(rows, index)
          ? qualityAsBefore : append(column.cells, &usual.quality, { UInt64($0.quality.raw) }, to: &writer)
      }
      modes |= append(column.cells, &usual.status, { UInt64($0.statusRaw) }, to: &writer) << 2
      modes |= append(column.cells, &usual.flags, { UInt64($0.flags.rawValue) }, to: &writer) << 4
      writer.bytes[place] = modes
      if modes != 0 { isUsual = false }
    }
    return isUsual ? [] : writer.bytes
  }

  private func appendRows(_ rows: ChunkRows, codesDelays: Bool, to writer: inout ByteWriter, _ isUsual: inout Bool) {
    let place = writer.count
    writer.append(0)
    var modes = append(series: marks.sequences, to: &writer)
    if codesDelays {
      modes |= Mode.coded.rawValue << 2
    } else {
      modes |= append(series: marks.delays, to: &writer) << 2
    }
    let exceptions = writer.count
    marks.appendExceptions(of: rows, to: &writer)
    if writer.count == exceptions + 1 { writer.bytes.removeLast() } else { modes |= 16 }
    writer.bytes[place] = modes
    if modes != 0 { isUsual = false }
  }

  private func append(series values: [Int64], to writer: inout ByteWriter) -> UInt8 {
    let step = values.count > 1 ? values[1] &- values[0] : 0
    let isSteady = values.indices.dropFirst().allSatisfy { values[$0] &- values[$0 - 1] == step }
    if isSteady {
      if values[0] == 0, step == 0 { return Mode.usual.rawValue }
      writer.append(zigzag: values[0])
      writer.append(zigzag: step)
      return Mode.constant.rawValue
    }
    writer.append(column: values.count) { index in
      zigzagEncode(values[index] &- (index == 0 ? 0 : values[index - 1]))
    }
    return Mode.column.rawValue
  }

  private func append(
    _ cells: [ChunkCell], _ usual: inout UInt64, _ mark: (ChunkCell) -> UInt64, to writer: inout ByteWriter
  ) -> UInt8 {
    let first = mark(cells[0])
    guard cells.allSatisfy({ mark($0) == first }) else {
      writer.append(column: cells.count) { mark(cells[$0]) }
      return Mode.column.rawValue
    }
    if first == usual { return Mode.usual.rawValue }
    usual = first
    writer.append(varint: first)
    return Mode.constant.rawValue
  }

  // MARK: Reading

  /// The largest section the header's counts allow: every varint at its longest.
  static func byteCountMax(_ header: ChunkHeader) -> Int {
    header.rowCount * 24 + header.cellCount * 40 + header.columns.count * 64 + 64
  }

  /// Marks that are all the usual ones.
  init(rowCount: Int) { marks = RowMarks(rowCount: rowCount) }

  /// Reads the exponents of the columns whose scale lists them; they stand first.
  static func exponents(
    _ reader: inout ByteReader, _ header: ChunkHeader, scales: [ColumnPlan.Scale]
  ) throws(ChunkError) -> [[Int8]] {
    var columns = [[Int8]](repeating: [], count: header.columns.count)
    for (index, scale) in scales.enumerated() where scale.listsExponents {
      var exponents: [Int8] = []
      let count = header.columns[index].cellCount
      exponents.reserveCapacity(count)
      try reading("exponents") { () throws(ByteError) in
        try reader.column(count) { _, value throws(ByteError) in
          guard let byte = UInt8(exactly: value) else { throw .varintTooLarge }
          exponents.append(Int8(bitPattern: byte))
        }
      }
      columns[index] = exponents
    }
    return columns
  }

  /// Reads the marks of rows and cells behind the exponents; `rows` has its columns, with cells in place.
  ///
  /// - Returns: whether the delays are coded behind the numbers, and what the columns' quality is.
  mutating func read(
    _ reader: inout ByteReader, _ header: ChunkHeader, into rows: inout ChunkRows
  ) throws(ChunkError) -> (delays: Bool, qualities: [QualitySource]) {
    let modes = try reading("marks") { () throws(ByteError) in try reader.byte() }
    guard modes < 32 else { throw .corrupt("marks") }
    marks.sequences = try MarksSection.series(&reader, modes & 3, header.rowCount)
    let codesDelays = modes >> 2 & 3 == Mode.coded.rawValue
    if !codesDelays { marks.delays = try MarksSection.series(&reader, modes >> 2 & 3, header.rowCount) }
    if modes & 16 != 0 { try marks.readExceptions(cellCount: header.cellCount, &reader) }
    var usual: (quality: UInt16, status: UInt8, flags: UInt16) = (usualQuality, 0, usualFlags)
    var qualities: [QualitySource] = []
    for index in rows.columns.indices {
      let modes = try reading("marks") { () throws(ByteError) in try reader.byte() }
      let isAsBefore = modes & qualityAsBefore != 0
      guard modes < 128,
        !isAsBefore || (modes & 3 == 0 && index > 0 && rows.columns[index].rows == rows.columns[index - 1].rows)
      else { throw .corrupt("marks") }
      let isCoded = modes & 3 == Mode.coded.rawValue
      qualities.append(isCoded ? .coded : isAsBefore ? .asBefore : .known)
      try rows.columns[index].cells.withUnsafeMutableBufferPointer { cells throws(ChunkError) in
        if !isCoded {
          try MarksSection.cells(&reader, modes & 3, cells, &usual.quality) { $0.quality = SampleQuality(raw: $1) }
        }
        try MarksSection.cells(&reader, modes >> 2 & 3, cells, &usual.status) { $0.statusRaw = $1 }
        try MarksSection.cells(&reader, modes >> 4 & 3, cells, &usual.flags) { $0.flags = SampleFlags(rawValue: $1) }
      }
    }
    guard reader.isAtEnd else { throw .corrupt("bytes after the marks") }
    return (codesDelays, qualities)
  }

  /// Where a column's quality is told.
  enum QualitySource {
    /// Among the marks; the cells have it.
    case known
    /// It is the column before's.
    case asBefore
    /// Behind the numbers.
    case coded
  }

  /// Takes over the delays that were coded behind the values.
  mutating func setDelays(_ delays: UnsafeMutablePointer<Int64>) {
    for index in marks.delays.indices { marks.delays[index] = delays[index] }
  }

  private static func series(
    _ reader: inout ByteReader, _ mode: UInt8, _ count: Int
  ) throws(ChunkError) -> [Int64] {
    switch Mode(rawValue: mode) {
    case .usual: return [Int64](repeating: 0, count: count)
    case .constant:
      return try reading("row marks") { () throws(ByteError) in
        let first = try reader.zigzag()
        let step = try reader.zigzag()
        return (0..<Int64(count)).map { first &+ $0 &* step }
      }
    case .column: return try reading("row marks") { () throws(ByteError) in try RowMarks.differences(count, &reader) }
    case .coded, nil: throw .corrupt("row marks")
    }
  }

  @inline(__always)
  private static func cells<Mark: FixedWidthInteger & UnsignedInteger>(
    _ reader: inout ByteReader, _ mode: UInt8, _ cells: UnsafeMutableBufferPointer<ChunkCell>, _ usual: inout Mark,
    _ set: (inout ChunkCell, Mark) -> Void
  ) throws(ChunkError) {
    switch Mode(rawValue: mode) {
    case .usual, .constant:
      if mode == Mode.constant.rawValue {
        let value = try reading("marks") { () throws(ByteError) in try reader.varint() }
        guard let mark = Mark(exactly: value) else { throw .corrupt("marks") }
        usual = mark
      }
      for index in cells.indices { set(&cells[index], usual) }
    case .column:
      try reading("marks") { () throws(ByteError) in
        try reader.column(cells.count) { index, value throws(ByteError) in
          guard let mark = Mark(exactly: value) else { throw .varintTooLarge }
          set(&cells[index], mark)
        }
      }
    case .coded, nil: throw .corrupt("marks")
    }
  }
}
