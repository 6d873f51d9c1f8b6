/// What the body of a modelled chunk says before its coded bits.
struct ChunkBody {
  /// What is said of one column.
  struct Column {
    var scale = ColumnPlan.Scale.uniform
    /// Number of the value model in the set.
    var model = 0
  }

  /// How the marks are kept.
  enum Packing: UInt64 {
    /// There are none: every mark is the usual one.
    case none
    case stored
    case zstd
  }

  /// Number of the start states.
  var states: UInt32 = 0
  var stamps = StampFrame()
  var stampModel = 0
  /// Number of the stamp model for ingest delays; nil where they stand among the marks.
  var delayModel: Int?
  /// Number of the value model for quality; nil where it stands among the marks.
  var qualityModel: Int?
  var columns: [Column] = []
  var packing = Packing.none
  /// Bytes of the marks as kept.
  var marksByteCount = 0

  private enum Order {
    static let states = 3
    static let model = 3
    static let stampModel = 1
    static let steps = 1
    static let marks = 5
  }

  init() {}

  func append(to writer: inout BitWriter, rowCount: Int) {
    writer.append(golomb: UInt64(states), order: Order.states)
    writer.append(golomb: UInt64(stampModel), order: Order.stampModel)
    writer.append(UInt64(stamps.unit), bits: 3)
    writer.append(UInt64(stamps.gain), bits: 2)
    writer.append(golomb: stamps.steps &- Int64(rowCount - 1), order: Order.steps)
    writer.append(delayModel != nil)
    if let delayModel { writer.append(golomb: UInt64(delayModel), order: Order.stampModel) }
    writer.append(qualityModel != nil)
    if let qualityModel { writer.append(golomb: UInt64(qualityModel), order: Order.model) }
    for column in columns {
      append(column.scale, to: &writer)
      writer.append(golomb: UInt64(column.model), order: Order.model)
    }
    writer.append(packing.rawValue, bits: 2)
    if packing != .none { writer.append(golomb: UInt64(marksByteCount), order: Order.marks) }
  }

  private func append(_ scale: ColumnPlan.Scale, to writer: inout BitWriter) {
    switch scale {
    case .uniform: writer.append(0, bits: 1)
    case .stripped(let ceiling):
      writer.append(0b10, bits: 2)
      writer.append(UInt64(-Int(ceiling)), bits: 3)
    case .scaled: writer.append(0b110, bits: 3)
    case .bare: writer.append(0b111, bits: 3)
    }
  }

  /// A scale other than the uniform one.
  private static func scale(_ reader: inout BitReader) throws(ChunkError) -> ColumnPlan.Scale {
    if try !reader.flag() { return .stripped(ceiling: -Int8(try reader.bits(3))) }
    return try reader.flag() ? .bare : .scaled
  }

  /// - Parameter limit: bytes there are.
  init(_ reader: inout BitReader, _ header: ChunkHeader, limit: Int) throws(ChunkError) {
    states = UInt32(try reader.golomb(order: Order.states, limit: Int(UInt32.max)))
    stampModel = try reader.golomb(order: Order.stampModel, limit: StartStates.modelsMax)
    stamps.unit = Int(try reader.bits(3))
    stamps.gain = Int(try reader.bits(2))
    let span = UInt64(bitPattern: header.lastTime &- header.firstTime)
    guard span < StampFrame.spanMax else { throw .corrupt("times") }
    let steps = Int64(header.rowCount - 1) &+ (try reader.signedGolomb(order: Order.steps))
    stamps.setPeriod(span: Int64(span) / stamps.unitLength, steps: steps)
    if try reader.flag() { delayModel = try reader.golomb(order: Order.stampModel, limit: StartStates.modelsMax) }
    if try reader.flag() { qualityModel = try reader.golomb(order: Order.model, limit: StartStates.modelsMax) }
    columns.reserveCapacity(header.columns.count)
    for _ in header.columns {
      var column = Column()
      if try reader.flag() { column.scale = try ChunkBody.scale(&reader) }
      column.model = try reader.golomb(order: Order.model, limit: StartStates.modelsMax)
      columns.append(column)
    }
    guard let packing = Packing(rawValue: try reader.bits(2)) else { throw .corrupt("packing") }
    self.packing = packing
    if packing != .none { marksByteCount = try reader.golomb(order: Order.marks, limit: limit) }
  }
}

/// Bytes of a chunk by what they hold.
package struct ChunkSizes: Hashable, Sendable {
  /// The header, with the columns' figures.
  package var header = 0
  /// What the body says before its coded bits.
  package var frame = 0
  package var marks = 0
  package var stamps = 0
  /// Which rows have cells.
  package var presence = 0
  package var values = 0
  /// Ingest delays and quality, where they are coded behind the numbers.
  package var codedMarks = 0
  package var checksum = 4

  package init() {}

  package var total: Int { header + frame + marks + stamps + presence + values + codedMarks + checksum }
}
