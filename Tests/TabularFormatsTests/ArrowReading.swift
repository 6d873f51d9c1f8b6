import Testing

/// Reads flatbuffers and Arrow messages by the published formats, knowing nothing of the writer. It checks every offset and
/// alignment it meets.
struct FlatTable {
  let bytes: [UInt8]
  let start: Int

  init(root bytes: [UInt8]) throws {
    self.bytes = bytes
    start = try Int(FlatTable.number(bytes, 0, as: UInt32.self))
  }

  init(_ bytes: [UInt8], at start: Int) {
    self.bytes = bytes
    self.start = start
  }

  static func number<Number: FixedWidthInteger>(
    _ bytes: [UInt8], _ place: Int, as type: Number.Type
  ) throws -> Number {
    let size = Number.bitWidth / 8
    try #require(place >= 0 && place + size <= bytes.count, "offset \(place) outside")
    try #require(place % size == 0, "offset \(place) not aligned to \(size)")
    return (0..<size).reduce(0) { $0 | Number(truncatingIfNeeded: bytes[place + $1]) << (8 * Number($1)) }
  }

  private func place(_ slot: Int) throws -> Int? {
    let list = start - Int(try FlatTable.number(bytes, start, as: Int32.self))
    let length = Int(try FlatTable.number(bytes, list, as: UInt16.self))
    guard 4 + 2 * slot < length else { return nil }
    let offset = Int(try FlatTable.number(bytes, list + 4 + 2 * slot, as: UInt16.self))
    return offset == 0 ? nil : start + offset
  }

  func number<Number: FixedWidthInteger>(_ slot: Int, _ type: Number.Type) throws -> Number {
    try place(slot).map { try FlatTable.number(bytes, $0, as: type) } ?? 0
  }

  private func target(_ slot: Int) throws -> Int? {
    try place(slot).map { try $0 + Int(FlatTable.number(bytes, $0, as: UInt32.self)) }
  }

  func table(_ slot: Int) throws -> FlatTable? { try target(slot).map { FlatTable(bytes, at: $0) } }

  func text(_ slot: Int) throws -> String {
    let place = try #require(try target(slot))
    let count = Int(try FlatTable.number(bytes, place, as: UInt32.self))
    try #require(bytes[place + 4 + count] == 0)
    return try #require(String(validating: bytes[place + 4..<place + 4 + count], as: UTF8.self))
  }

  func tables(_ slot: Int) throws -> [FlatTable] {
    let place = try #require(try target(slot))
    let count = Int(try FlatTable.number(bytes, place, as: UInt32.self))
    return try (0..<count).map { index in
      let at = place + 4 + 4 * index
      return FlatTable(bytes, at: at + Int(try FlatTable.number(bytes, at, as: UInt32.self)))
    }
  }

  func pairs(_ slot: Int) throws -> [(Int, Int)] {
    let place = try #require(try target(slot))
    let count = Int(try FlatTable.number(bytes, place, as: UInt32.self))
    return try (0..<count).map { index in
      let at = place + 4 + 16 * index
      return (
        Int(try FlatTable.number(bytes, at, as: Int64.self)), Int(try FlatTable.number(bytes, at + 8, as: Int64.self))
      )
    }
  }
}

/// A whole Arrow stream, cell by cell as text; nil is null.
struct ArrowReading {
  private(set) var columns: [String] = []
  private(set) var rows: [[String?]] = []
  private(set) var batches = 0
  private(set) var notes: [String: String] = [:]
  private var fields: [FlatTable] = []
  private var dictionaries: [Int64: [String]] = [:]

  init(_ stream: [UInt8]) throws {
    var place = 0
    while true {
      try #require(place % 8 == 0)
      let words = Array(stream[place..<place + 8])
      try #require(try FlatTable.number(words, 0, as: UInt32.self) == .max)
      let length = Int(try FlatTable.number(words, 4, as: Int32.self))
      place += 8
      guard length > 0 else { break }
      try #require(length % 8 == 0)
      let message = try FlatTable(root: Array(stream[place..<place + length]))
      place += length
      try #require(try message.number(0, Int16.self) == 4)
      let bodyLength = Int(try message.number(3, Int64.self))
      try #require(bodyLength % 8 == 0)
      try take(message, body: Array(stream[place..<place + bodyLength]))
      place += bodyLength
    }
    try #require(place == stream.count)
  }

  private mutating func take(_ message: FlatTable, body: [UInt8]) throws {
    let header = try #require(try message.table(2))
    switch try message.number(1, UInt8.self) {
    case 1:
      fields = try header.tables(1)
      columns = try fields.map { try $0.text(0) }
      for note in try header.tables(2) { notes[try note.text(0)] = try note.text(1) }
    case 2:
      try #require(try header.number(2, UInt8.self) == 0, "a delta")
      let number = try header.number(0, Int64.self)
      try #require(dictionaries[number] == nil && batches == 0, "a dictionary stands once and first")
      dictionaries[number] = try texts(try #require(try header.table(1)), body)
    case 3:
      batches += 1
      try take(batch: header, body)
    default: Issue.record("an unknown message")
    }
  }

  /// The bytes of each buffer, which begin at multiples of 8 and do not overlap.
  private func buffers(_ batch: FlatTable, _ body: [UInt8]) throws -> [[UInt8]] {
    var end = 0
    return try batch.pairs(2).map { offset, length in
      try #require(offset % 8 == 0 && offset >= end && offset + length <= body.count)
      end = offset + length
      return Array(body[offset..<end])
    }
  }

  private func texts(_ batch: FlatTable, _ body: [UInt8]) throws -> [String] {
    let buffers = try buffers(batch, body)
    try #require(buffers.count == 3 && buffers[0].isEmpty)
    let count = Int(try batch.number(0, Int64.self))
    try #require(buffers[1].count == 4 * (count + 1))
    return try (0..<count).map { index in
      let from = Int(try FlatTable.number(buffers[1], 4 * index, as: Int32.self))
      let to = Int(try FlatTable.number(buffers[1], 4 * index + 4, as: Int32.self))
      return try #require(String(validating: buffers[2][from..<to], as: UTF8.self))
    }
  }

  private mutating func take(batch: FlatTable, _ body: [UInt8]) throws {
    let buffers = try buffers(batch, body)
    let nodes = try batch.pairs(1)
    let count = Int(try batch.number(0, Int64.self))
    try #require(nodes.count == fields.count && buffers.count == 2 * fields.count)
    let first = rows.count
    rows += [[String?]](repeating: [], count: count)
    for (index, field) in fields.enumerated() {
      let validity = buffers[2 * index]
      try #require(nodes[index].0 == count)
      var nulls = 0
      for row in 0..<count {
        let isValid = validity.isEmpty || validity[row / 8] >> UInt8(row % 8) & 1 == 1
        if !isValid { nulls += 1 }
        rows[first + row].append(isValid ? try cell(field, buffers[2 * index + 1], row) : nil)
      }
      try #require(nulls == nodes[index].1)
      if nulls > 0 { try #require(try field.number(1, UInt8.self) == 1, "a null where none may be") }
    }
  }

  private func cell(_ field: FlatTable, _ values: [UInt8], _ row: Int) throws -> String {
    let type = try #require(try field.table(3))
    if let dictionary = try field.table(4) {
      let place = Int(try FlatTable.number(values, 4 * row, as: Int32.self))
      let texts = try #require(dictionaries[try dictionary.number(0, Int64.self)])
      try #require(texts.indices.contains(place))
      return texts[place]
    }
    switch try field.number(2, UInt8.self) {
    case 2:
      switch try (type.number(0, Int32.self), type.number(1, UInt8.self)) {
      case (64, 1): return String(try FlatTable.number(values, 8 * row, as: Int64.self))
      case (8, 1): return String(try FlatTable.number(values, row, as: Int8.self))
      case (16, 0): return String(try FlatTable.number(values, 2 * row, as: UInt16.self))
      default: return "an unknown integer"
      }
    case 3:
      if try type.number(0, Int16.self) == 2 {
        return String(Double(bitPattern: try FlatTable.number(values, 8 * row, as: UInt64.self)))
      }
      return String(Float(bitPattern: try FlatTable.number(values, 4 * row, as: UInt32.self)))
    case 6: return String(values[row / 8] >> UInt8(row % 8) & 1 == 1)
    case 10:
      try #require(try type.number(0, Int16.self) == 1)
      try #require(try type.text(1) == "UTC")
      return String(try FlatTable.number(values, 8 * row, as: Int64.self))
    default: return "an unknown type"
    }
  }
}
