import VitalModel

/// A score's chart as flat tables.
// `@unchecked`: the tables belong to the layout and are never written after they were made.
package struct CompiledScore: @unchecked Sendable, BitwiseCopyable {
  struct Band: BitwiseCopyable {
    var upTo: Int64
    var points: Int
  }

  struct Bands: BitwiseCopyable {
    var table: PlanLayout.Table<Band>

    /// As ``VitalModel/ScoreBands/points(_:)``.
    func points(_ grid: Int64) -> Int {
      for band in table where grid <= band.upTo { return band.points }
      return table.last?.points ?? 0
    }
    var isEmpty: Bool { table.isEmpty }
  }

  struct Variant: BitwiseCopyable {
    /// The bit of the flag it asks for; 0: none.
    var flagBit: UInt64
    var asksOxygen: Bool
    var onOxygen: Bool
    var asksAge: Bool
    var monthsFrom: Double
    var monthsBelow: Double
    var bands: Bands
  }

  struct Input: BitwiseCopyable {
    var code: Int
    /// Position among the vital's features of what it is judged by, grid steps.
    var feature: Int
    /// Grid value up to which it is room air; only for oxygen.
    var airUpTo: Int64
    /// Its own bands; only where the worst input counts.
    var bands: Bands
  }

  /// As ``VitalModel/ScoreInput``.
  enum Kind: UInt8 {
    case preferred, worst, ratio, oxygen, expression
  }

  struct Component: BitwiseCopyable {
    var kind: Kind
    /// For ratios those of the dividend first, ``dividendCount`` of them; for expressions the vitals they read.
    var inputs: PlanLayout.Table<Input>
    var dividendCount: Int
    /// Powers of ten that make grid steps of dividend and divisor hundredths of the ratio.
    var dividendScale: Int64
    var divisorScale: Int64
    var bands: Bands
    var variants: PlanLayout.Table<Variant>
    /// What gives the number of an expression, and the grid it is banded on.
    var program: CompiledProgram?
    var features: PlanLayout.Table<CompiledFeature>
    var exponent: Int
    /// Points while it is unknown; -1: it is missing.
    var absent: Int
  }

  let components: PlanLayout.Table<Component>
  /// The component that says whether oxygen is given, -1: none.
  let oxygen: Int

  /// - Parameter features: of each component's expression; empty for the others.
  init(
    _ score: ScoreDefinition, features: [[CompiledFeature]], drafts: [CodeDraft], flags: [String],
    registry: VitalRegistry, memory: TableMemory
  ) {
    let known = score.components.prefix(ScoreState.componentsMax)
    let builder = Builder(drafts: drafts, flags: flags, registry: registry, memory: memory)
    components = memory.table(zip(known, features).map { builder.component($0, features: $1) })
    oxygen = known.firstIndex { $0.isOxygen } ?? -1
  }

  private struct Builder {
    let drafts: [CodeDraft]
    let flags: [String]
    let registry: VitalRegistry
    let memory: TableMemory

    func component(_ component: ScoreComponent, features: [CompiledFeature]) -> Component {
      var kind = Kind.preferred
      var inputs: [Input] = []
      var dividendCount = 0
      var exponents = (0, 0)
      switch component.input {
      case .preferred(let codes): inputs = codes.map { input($0, component, nil) }
      case .oxygen(let codes):
        kind = .oxygen
        inputs = codes.map { input($0, component, nil) }
      case .worst(let list):
        kind = .worst
        inputs = list.map { input($0.code, component, $0.bands) }
      case .ratio(let top, let bottom):
        kind = .ratio
        inputs = (top + bottom).map { input($0, component, nil) }
        dividendCount = top.count
        exponents = (resolution(top), resolution(bottom))
      case .expression(let expression):
        kind = .expression
        inputs = expression.codes.map { Input(code: Int($0.index), feature: 0, airUpTo: 0, bands: bands(nil)) }
      }
      // hundredths = top x 10^topExponent x 100 / (bottom x 10^bottomExponent)
      let shift = exponents.0 - ScoreInput.ratioExponent - exponents.1
      return Component(
        kind: kind, inputs: memory.table(inputs), dividendCount: dividendCount,
        dividendScale: DecimalValue.powerOfTen(max(0, shift)), divisorScale: DecimalValue.powerOfTen(max(0, -shift)),
        bands: bands(component.bands), variants: memory.table(component.variants.map(variant)),
        program: (component.expression?.program).map { CompiledProgram($0, flags: flags, memory: memory) },
        features: memory.table(features), exponent: component.expression?.exponent ?? 0,
        absent: component.absent ?? -1)
    }

    private func resolution(_ codes: [VitalCode]) -> Int { codes.first.map { registry[$0].resolutionExponent } ?? 0 }

    private func input(_ code: VitalCode, _ component: ScoreComponent, _ own: ScoreBands?) -> Input {
      let feature = drafts[Int(code.index)].place(of: .scoreInput(median: component.medianWindow)) ?? 0
      let vital = registry[code]
      let air = vital.unit == "%" ? DecimalValue(mantissa: 21).scaled(toExponent: vital.resolutionExponent) ?? 0 : 0
      return Input(code: Int(code.index), feature: feature, airUpTo: air, bands: bands(own))
    }

    private func variant(_ variant: ScoreVariant) -> Variant {
      Variant(
        // A flag beyond the 64 a plan may have fits nobody.
        flagBit: variant.flag.map { flag in flags.firstIndex(of: flag).map { 1 << UInt64($0) } ?? .max } ?? 0,
        asksOxygen: variant.onOxygen != nil, onOxygen: variant.onOxygen ?? false, asksAge: variant.asksAge,
        monthsFrom: variant.monthsFrom.map(Double.init) ?? 0,
        monthsBelow: variant.monthsBelow.map(Double.init) ?? .infinity, bands: bands(variant.bands))
    }

    private func bands(_ bands: ScoreBands?) -> Bands {
      Bands(table: memory.table((bands?.bands ?? []).map { Band(upTo: $0.upTo, points: $0.points) }))
    }
  }
}
