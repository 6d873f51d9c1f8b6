import ChunkCoding
import VitalModel

/// Rows made to be awkward, all from one seed: every shape of series beside every pattern of stamps and gaps.
func adversarialRows(_ generator: inout SplitMix64, rowsMax: Int) -> ChunkRows {
  let count = 1 + generator.below(rowsMax)
  var rows = ChunkRows(
    patient: UInt32(truncatingIfNeeded: generator.next() >> UInt64(32 + generator.below(32))),
    device: UInt32(truncatingIfNeeded: generator.next() >> UInt64(32 + generator.below(32))),
    group: generator.chance(10) ? UInt16(truncatingIfNeeded: generator.next()) : 0)
  rows.firstPosition = generator.next() >> UInt64(generator.below(63))
  rows.lastPosition = max(rows.firstPosition, rows.firstPosition &+ UInt64(generator.below(100_000)))
  rows.times = adversarialTimes(&generator, count)
  let columnCount = generator.chance(3) ? ChunkLimits.columnsMax : generator.below(7)
  var code = 0
  for _ in 0..<columnCount {
    code += generator.chance(80) ? 1 : generator.below(500)
    let column = ChunkColumn(
      code: VitalCode(index: UInt16(code)), unit: generator.chance(10) ? UInt8(generator.below(256)) : 0,
      source: generator.chance(20) ? UInt16(generator.below(1 << 16)) : 0)
    rows.columns.append(adversarialColumn(&generator, column, times: rows.times))
  }
  return rows
}

private func adversarialTimes(_ generator: inout SplitMix64, _ count: Int) -> [Int64] {
  let kind = generator.below(8)
  let step: Int64 = [1, 8, 10, 250, 1000, 60_000, 300_000, 3_600_000][generator.below(8)]
  var time = kind == 0 ? Int64.min + Int64(generator.below(1000)) : 1_700_000_000_000 + Int64(generator.below(1 << 20))
  var times: [Int64] = []
  for index in 0..<count {
    times.append(time)
    switch kind {
    case 0: if generator.chance(5), time < .max / 2 { time += .max / 2 } else { time += 1 }
    case 1: time += step
    case 2: time += generator.chance(20) ? 0 : step
    case 3: time += step + Int64(generator.below(21))
    case 4: time += generator.chance(5) ? step * Int64(generator.below(1000)) : step
    case 5: time += Int64(generator.next() >> UInt64(24 + generator.below(40)))
    case 6: time += index % 50 == 49 ? 1 << 33 : step
    default: break
    }
  }
  return times
}

private func adversarialColumn(
  _ generator: inout SplitMix64, _ column: ChunkColumn, times: [Int64]
) -> ChunkColumnCells {
  let extremes: [Int64] = [.min, .max, 0, -1, 1, .min + 1, .max - 1, 1 << 60, -(1 << 60), (1 << 60) + 1]
  let shape = generator.below(10)
  let presence = generator.chance(50) ? 100 : 1 + generator.below(99)
  let exponents = generator.below(5)
  let marks = generator.below(3)
  let factor: Int64 = [1, 2, 5, 10, 100, 1000][generator.below(6)]
  var level = Int64(generator.below(200)) - 50
  var slope: Int64 = 0
  var sequence = Int64(generator.below(1000))
  var cells = ChunkColumnCells(column)
  for row in times.indices {
    switch shape {
    case 0: break
    case 1: level &+= Int64(generator.below(3)) - 1
    case 2: if generator.chance(5) { level &+= Int64(generator.below(41)) - 20 }
    case 3: level = extremes[generator.below(extremes.count)]
    case 4: level = Int64(bitPattern: generator.next())
    case 5: slope &+= Int64(generator.below(5)) - 2; level &+= slope
    case 6: level = Int64(row * row)
    case 7: level = row % 2 == 0 ? 97 : 98
    case 8: level &+= Int64(bitPattern: generator.next()) >> Int64(20 + generator.below(40))
    default: level = generator.chance(2) ? .max - Int64(generator.below(9)) : 70 + Int64(generator.below(9))
    }
    guard generator.chance(presence) || row == times.count - 1 && cells.cells.isEmpty else { continue }
    var value = DecimalValue(mantissa: shape == 3 || shape == 4 ? level : level &* factor)
    switch exponents {
    case 1: value.exponent = -2
    case 2: value = stripped(value.mantissa, from: -2)
    case 3: value.exponent = Int8(generator.below(5)) - 3
    case 4: value.exponent = generator.chance(3) ? Int8(truncatingIfNeeded: generator.next()) : 0
    default: break
    }
    sequence &+= generator.chance(2) ? -3 : 1
    var cell = ChunkCell(value: value)
    if marks > 0 {
      cell.sequence = sequence
      cell.ingestTime = times[row] &+ 20 &+ (marks == 2 ? Int64(generator.below(40)) : 0)
      cell.flags = .hasSequence
    }
    if marks == 2, generator.chance(4) {
      cell.quality = SampleQuality(raw: UInt16(truncatingIfNeeded: generator.next()))
      cell.statusRaw = UInt8(generator.below(256))
      cell.flags = SampleFlags(rawValue: UInt16(truncatingIfNeeded: generator.next()))
      cell.ingestTime = extremes[generator.below(extremes.count)]
    }
    cells.rows.append(UInt32(row))
    cells.cells.append(cell)
  }
  return cells
}

/// As most programs write decimals: no zeros at the end.
private func stripped(_ mantissa: Int64, from exponent: Int8) -> DecimalValue {
  var value = DecimalValue(mantissa: mantissa, exponent: exponent)
  while value.exponent < 0, value.mantissa % 10 == 0 {
    value.mantissa /= 10
    value.exponent += 1
  }
  return value
}
