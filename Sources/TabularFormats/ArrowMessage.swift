/// Arrow's messages (Arrow columnar format 1.x, metadata version 5): `docs/formats/arrow.md`.
enum ArrowMessage {
  /// `Type` of Schema.fbs, as far as it is used.
  enum ColumnType: Equatable {
    case utf8
    case int(bits: Int32, isSigned: Bool)
    case float32
    case float64
    case bool
    /// Milliseconds since 1970 in UTC.
    case timestamp

    var number: UInt8 {
      switch self {
      case .int: 2
      case .float32, .float64: 3
      case .utf8: 5
      case .bool: 6
      case .timestamp: 10
      }
    }
  }

  /// One column of a schema.
  struct Field {
    var name: String
    var type: ColumnType
    var isNullable = false
    /// Number of the dictionary the column's 32-bit places point into; its type is then the dictionary's.
    var dictionary: Int64?
  }

  private enum Header: UInt8 {
    case schema = 1
    case dictionaryBatch = 2
    case recordBatch = 3
  }

  /// What ends a stream: a message of no length.
  static let end: [UInt8] = [0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0]

  // MARK: Messages

  static func schema(_ fields: [Field], notes: [(key: String, value: String)]) -> [UInt8] {
    var flat = FlatBuilder()
    let columns = fields.map { column($0, &flat) }
    let list = flat.vector(columns)
    let pairs = notes.map { note in
      let key = flat.string(note.key)
      let value = flat.string(note.value)
      return flat.table([(0, .offset(key)), (1, .offset(value))])
    }
    let metadata = flat.vector(pairs)
    let schema = flat.table([(0, .int16(0)), (1, .offset(list)), (2, .offset(metadata))])
    return framed(&flat, .schema, schema, ArrowBody())
  }

  /// All texts of a dictionary at once, in the order of their places.
  static func dictionary(_ number: Int64, _ texts: [String]) throws(ArrowError) -> [UInt8] {
    var offsets: [Int32] = [0]
    offsets.reserveCapacity(texts.count + 1)
    var bytes: [UInt8] = []
    for text in texts {
      bytes.append(contentsOf: text.utf8)
      guard let end = Int32(exactly: bytes.count) else { throw .dictionaryTooLarge }
      offsets.append(end)
    }
    var body = ArrowBody(rows: texts.count)
    body.begin(nulls: 0, validity: nil)
    body.add(offsets)
    body.add(bytes)
    var flat = FlatBuilder()
    let batch = recordBatch(&flat, body)
    let dictionary = flat.table([(0, .int64(number)), (1, .offset(batch))])
    return framed(&flat, .dictionaryBatch, dictionary, body)
  }

  static func batch(_ body: ArrowBody) -> [UInt8] {
    var flat = FlatBuilder()
    let batch = recordBatch(&flat, body)
    return framed(&flat, .recordBatch, batch, body)
  }

  // MARK: Parts

  private static func column(_ field: Field, _ flat: inout FlatBuilder) -> Int {
    let name = flat.string(field.name)
    let children = flat.vector([Int]())
    let type = type(field.type, &flat)
    var fields: [(slot: Int, value: FlatBuilder.Value)] = [
      (0, .offset(name)), (2, .uint8(field.type.number)), (3, .offset(type)), (5, .offset(children)),
    ]
    if field.isNullable { fields.append((1, .uint8(1))) }
    if let number = field.dictionary {
      let index = flat.table([(0, .int32(32)), (1, .uint8(1))])
      fields.append((4, .offset(flat.table([(0, .int64(number)), (1, .offset(index))]))))
    }
    return flat.table(fields)
  }

  private static func type(_ type: ColumnType, _ flat: inout FlatBuilder) -> Int {
    switch type {
    case .utf8, .bool: return flat.table([])
    case .int(let bits, let isSigned): return flat.table([(0, .int32(bits)), (1, .uint8(isSigned ? 1 : 0))])
    case .float32: return flat.table([(0, .int16(1))])
    case .float64: return flat.table([(0, .int16(2))])
    case .timestamp:
      let zone = flat.string("UTC")
      return flat.table([(0, .int16(1)), (1, .offset(zone))])
    }
  }

  private static func recordBatch(_ flat: inout FlatBuilder, _ body: ArrowBody) -> Int {
    let buffers = flat.vector(body.buffers)
    let nodes = flat.vector(body.nodes)
    return flat.table([(0, .int64(Int64(body.rows))), (1, .offset(nodes)), (2, .offset(buffers))])
  }

  /// Mark, length of the metadata, metadata, body; each part ends at a multiple of 8.
  private static func framed(_ flat: inout FlatBuilder, _ header: Header, _ content: Int, _ body: ArrowBody) -> [UInt8]
  {
    let message = flat.table([
      (0, .int16(4)), (1, .uint8(header.rawValue)), (2, .offset(content)), (3, .int64(Int64(body.bytes.count))),
    ])
    var metadata = flat.finish(root: message)
    while metadata.count % 8 != 0 { metadata.append(0) }
    var out: [UInt8] = [0xFF, 0xFF, 0xFF, 0xFF]
    out.reserveCapacity(8 + metadata.count + body.bytes.count)
    for byte in 0..<4 { out.append(UInt8(truncatingIfNeeded: metadata.count >> (8 * byte))) }
    out += metadata
    out += body.bytes
    return out
  }
}

/// Why an Arrow stream cannot be made.
package enum ArrowError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The names of one column take more than 2 GiB.
  case dictionaryTooLarge

  package var description: String {
    switch self {
    case .dictionaryTooLarge: "the names of one column take more than 2 GiB; export fewer patients at a time"
    }
  }
}

/// The columns of one batch as bytes: every buffer begins and ends at a multiple of 8.
struct ArrowBody {
  let rows: Int
  private(set) var bytes: [UInt8] = []
  /// Offset and length of each buffer; padding is not counted.
  private(set) var buffers: [(Int64, Int64)] = []
  /// Rows and nulls of each column.
  private(set) var nodes: [(Int64, Int64)] = []

  init(rows: Int = 0) { self.rows = rows }

  /// Begins a column; its value buffers follow.
  ///
  /// - Parameter validity: a bit for each row, 1 where it has a value; nil or no nulls: left out.
  mutating func begin(nulls: Int, validity: ArrowBits?) {
    nodes.append((Int64(rows), Int64(nulls)))
    if nulls > 0, let validity { add(validity.bytes) } else { add([UInt8]()) }
  }

  /// Adds a buffer. Numbers stand in memory as in Arrow: every machine Swift runs on is little-endian.
  mutating func add(_ values: [some BitwiseCopyable]) {
    let offset = bytes.count
    values.withUnsafeBytes { bytes.append(contentsOf: $0) }
    buffers.append((Int64(offset), Int64(bytes.count - offset)))
    while bytes.count % 8 != 0 { bytes.append(0) }
  }
}

/// A bit for each row, the first in the lowest bit of the first byte.
struct ArrowBits {
  private(set) var bytes: [UInt8] = []
  private var count = 0
  /// Rows whose bit is 0.
  private(set) var zeros = 0

  mutating func append(_ isSet: Bool) {
    if count % 8 == 0 { bytes.append(0) }
    if isSet { bytes[count / 8] |= 1 << UInt8(count % 8) } else { zeros += 1 }
    count += 1
  }

  mutating func removeAll() {
    bytes.removeAll(keepingCapacity: true)
    count = 0
    zeros = 0
  }
}
