import Configuration
import Testing
import VitalModel
import YAMLText

@Suite struct ShippedRegistryTests {
  private func grid(_ key: String, _ value: String, _ unit: String) throws -> String? {
    let registry = try RulesFolder.registry()
    let vital = registry[try #require(registry.code(key))]
    let index = try #require(vital.units.firstIndex { $0.unit == unit }, "\(key) takes no \(unit)")
    let grid = vital.gridValue(try #require(DecimalValue(value)), unitIndex: index)
    return grid.map { vital.decimal(grid: $0).description }
  }

  @Test func everyKeyOfTheContractAndThoseOfScores() throws {
    let keys = """
      hr pr spo2 resp sbp dbp map abp_sys abp_dia abp_mean temp skin_temp etco2 glucose weight steps rr_interval \
      consciousness o2_flow fio2 perfusion_index signal_quality battery lactate pain \
      capillary_refill respiratory_effort wbc wbc_bands paco2 beat_age pulse_age
      """
    #expect(try RulesFolder.registry().vitals.map(\.key) == keys.split(separator: " ").map(String.init))
  }

  @Test(arguments: [
    ("temp", "101.3", "[degF]", "38.5"), ("temp", "98.6", "[degF]", "37.0"), ("temp", "95", "degF", "35.0"),
    ("temp", "100.4", "[degF]", "38.0"), ("temp", "310.15", "K", "37.0"), ("temp", "38.04", "Cel", "38.0"),
    ("temp", "38.05", "Cel", "38.1"), ("temp", "-40", "[degF]", "-40.0"), ("glucose", "3.9", "mmol/L", "70"),
    ("glucose", "10.0", "mmol/L", "180"), ("glucose", "70.26", "mg/dL", "70"), ("sbp", "16", "kPa", "120"),
    ("sbp", "13.3322368", "kPa", "100"), ("etco2", "5.0", "kPa", "38"), ("spo2", "0.915", "1", "92"),
    ("spo2", "0.91", "/", "91"), ("spo2", "91", "%", "91"), ("hr", "1.2", "Hz", "72"), ("hr", "72.5", "bpm", "73"),
    ("resp", "0.25", "Hz", "15"), ("weight", "150", "[lb_av]", "68.039"), ("weight", "16", "[oz_av]", "0.454"),
    ("weight", "3250", "g", "3.250"), ("rr_interval", "0.833", "s", "833"), ("fio2", "0.21", "1", "21"),
    ("o2_flow", "2", "l/min", "2.0"), ("paco2", "4.3", "kPa", "32.3"), ("paco2", "4.2", "kPa", "31.5"),
    ("wbc", "12000", "/uL", "12.0"), ("wbc", "3.95", "10*3/uL", "4.0"), ("capillary_refill", "2950", "ms", "3.0"),
    ("wbc_bands", "0.11", "1", "11"),
  ])
  func conversions(_ key: String, _ value: String, _ unit: String, _ expected: String) throws {
    #expect(try grid(key, value, unit) == expected)
  }

  @Test(arguments: [
    ("8867-4", "hr"), ("MDC_TEMP_CORE", "temp"), ("mdc_temp_core", "temp"), ("150368", "temp"), ("SPO2", "spo2"),
    ("59408-5", "spo2"), ("147842", "hr"), ("149530", "pr"), ("150301", "sbp"), ("150037", "abp_sys"),
    ("150388", "skin_temp"), ("151728", "etco2"), ("resp_est", "resp"), ("80288-4", "consciousness"),
  ])
  func names(_ name: String, _ key: String) throws {
    let registry = try RulesFolder.registry()
    #expect(registry.lookup(name).map { registry[$0.code].key } == key)
  }

  @Test func namesThatAreNotTaken() throws {
    let registry = try RulesFolder.registry()
    // The volume-percent carbon dioxide term and the relative perfusion index are other quantities.
    for name in ["hr2", "pr_abp", "151708", "150448", "88330-6", "", "MDC_"] { #expect(registry.lookup(name) == nil) }
  }

  @Test func namesThatImplyAUnit() throws {
    let registry = try RulesFolder.registry()
    func unit(_ name: String) -> String? {
      registry.lookup(name).flatMap { $0.unit < 0 ? nil : registry[$0.code].units[$0.unit].unit }
    }
    #expect(unit("temp_c") == "Cel")
    #expect(unit("TEMP_F") == "[degF]")
    #expect(unit("glucose_mgdl") == "mg/dL")
    #expect(unit("glucose_mmoll") == "mmol/L")
    #expect(unit("105272-9") == "mmol/L")
    #expect(unit("99504-3") == nil)
    #expect(unit("temp") == nil)
  }

  @Test func zerosAndLimits() throws {
    let registry = try RulesFolder.registry()
    func vital(_ key: String) throws -> VitalDefinition { registry[try #require(registry.code(key))] }
    #expect(try vital("hr").zeroSources == ["ecg", "ecg2"])
    #expect(try vital("pr").zeroSources == [])
    #expect(try vital("spo2").zeroSources == nil)
    for key in ["spo2", "sbp", "dbp", "map", "abp_sys", "abp_dia", "abp_mean", "temp", "glucose", "weight", "fio2"] {
      #expect(try vital(key).rejectBelow.double > 0, "a zero \(key) is a failed measurement")
    }
    for vital in registry.vitals { #expect(vital.rejectBelow.double < vital.rejectAbove.double) }
    #expect(try vital("consciousness").letters.map(\.text) == ["A", "C", "V", "P", "U"])
    #expect(try vital("consciousness").letters.map(\.value) == [0, 1, 2, 3, 4])
    #expect(try vital("respiratory_effort").letters.map(\.text) == ["N", "M", "O", "S"])
    #expect(try vital("sbp").staleness == 5_400_000)
    #expect(try vital("hr").stepGate == StepGate(change: DecimalValue(mantissa: 60), within: 1000))
  }

  @Test func noReceivedNumberTraps() throws {
    let registry = try RulesFolder.registry()
    let extremes = ["999999999999999999", "-999999999999999999", "1e18", "-1e18", "1e-18", "0.999999999999999999"]
    for vital in registry.vitals {
      for unit in -1...vital.units.count {
        for text in extremes {
          _ = vital.gridValue(try #require(DecimalValue(text)), unitIndex: unit)
        }
      }
    }
  }
}

@Suite struct VitalRegistryFileTests {
  private static let good = """
    version: 1
    vitals:
      hr:
        title: Heart rate
        unit: /min
        units: { bpm: same, Hz: { multiply: 60 } }
        aliases: { pulse: bpm }
        reject: { below: 0, above: 350 }
        resolution: 1
        staleness: 60s

    """

  private func problems(_ text: String) -> [String] {
    do throws(TextProblems) {
      _ = try VitalRegistryFile.parse(text, file: "v.yaml")
      return []
    } catch {
      return error.all.map(\.description)
    }
  }

  private func replacing(_ old: String, _ new: String) -> [String] {
    #expect(Self.good.contains(old))
    return problems(Self.good.replacing(old, with: new))
  }

  @Test func smallestRegistry() { #expect(problems(Self.good) == []) }

  @Test func wrongFiles() {
    #expect(
      replacing("title:", "titel:") == [
        "v.yaml:4:5: unknown key `titel` in hr; did you mean `title`?", "v.yaml:4:5: hr needs `title`",
      ])
    #expect(
      replacing("below: 0, above: 350", "below: 350, above: 0") == [
        "v.yaml:8:15: `reject` is reversed: below 350 is not less than above 0"
      ])
    #expect(
      replacing("pulse: bpm", "pulse: bmp") == [
        "v.yaml:7:23: alias `pulse` implies unit `bmp`, which hr does not accept; did you mean `bpm`?"
      ])
    #expect(replacing("pulse: bpm", "HR: bpm") == ["v.yaml:7:16: name `HR` of hr is already taken by hr"])
    #expect(
      replacing("multiply: 60", "multiply: 0.5") == [
        "v.yaml:6:41: `multiply` must be a whole number or fraction such as 5/9, not `0.5`"
      ])
    #expect(replacing("multiply: 60", "multiply: 5/0").count == 1)
    #expect(
      replacing("resolution: 1", "resolution: 0.5") == [
        "v.yaml:9:17: `resolution` must be 1, 10 or a decimal fraction 0.1 to 0.000001, not `0.5`"
      ])
    #expect(
      replacing("staleness: 60s", "staleness: 60") == [
        "v.yaml:10:16: `staleness` must be a duration such as 250ms, 15s, 10m, 12h or 7d from 1s to 36525d, not `60`"
      ])
    #expect(
      replacing("version: 1", "version: 2") == [
        "v.yaml:1:10: `version` must be 1, the only version there is, not `2`"
      ])
    #expect(
      replacing("  hr:", "  HR:") == [
        "v.yaml:3:3: `HR` must be lower-case letters, digits and `_`, beginning with a letter"
      ])
    #expect(problems("- 1") == ["v.yaml:1:1: registry must be a mapping (`key: value` lines), not a list"])
    #expect(problems("a: [") != [])
  }

  @Test func namesAreTakenOnceAcrossTheRegistry() {
    let second =
      Self.good + """
          pr:
            title: Pulse
            unit: /min
            loinc: [hr]
            mdc: { MDC_X: 0, PULSE: 3 }
            aliases: { PULSE: /min }
            reject: { below: 0, above: 350 }
            resolution: 1
            staleness: 60s
        """
    #expect(
      problems(second) == [
        "v.yaml:14:13: name `hr` of pr is already taken by hr",
        "v.yaml:15:19: `MDC_X` must be a context-free code number, not `0`",
        "v.yaml:15:22: `PULSE` must be an MDC reference id such as MDC_ECG_HEART_RATE",
        "v.yaml:16:16: name `PULSE` of pr is already taken by hr",
      ])
  }

  @Test func changingALimitChangesTheCanonicalText() throws {
    func text(_ source: String) throws -> String {
      try VitalRegistryFile.parse(source, file: "v").vitals[0].canonicalText
    }
    let base = try text(Self.good)
    #expect(try text("# a comment\n" + Self.good) == base)
    #expect(try text(Self.good.replacing("350", with: "300")) != base)
    #expect(try text(Self.good.replacing("multiply: 60", with: "multiply: 61")) != base)
  }
}

@Suite struct ColumnMapTests {
  @Test(arguments: ["cinc2015_alarms", "mimic3_demo", "stress_predict", "bidmc_numerics"])
  func shippedMapsAreRead(_ name: String) throws {
    let map = try ColumnMap.parse(
      try RulesFolder.text("maps/\(name).yaml"), file: name, registry: try RulesFolder.registry())
    #expect(map.name == name)
  }

  @Test func columnsOfTheAlarmRecordings() throws {
    let registry = try RulesFolder.registry()
    let map = try ColumnMap.parse(try RulesFolder.text("maps/cinc2015_alarms.yaml"), file: "m", registry: registry)
    func meaning(_ column: String) -> String? {
      switch map.meaning(of: column, in: registry) {
      case .vital(let column): "\(column.key)/\(column.source ?? "-")"
      case .ignored: "ignored"
      case nil: nil
      }
    }
    #expect(meaning("hr2") == "hr/ecg2")
    #expect(meaning("PR_ABP") == "pr/art")
    #expect(meaning("sbp") == "abp_sys/art")
    #expect(meaning("age_pleth") == "pulse_age/pleth")
    #expect(meaning("nsig_ecg1") == "ignored")
    #expect(meaning("spo2") == "spo2/-")
    #expect(meaning("temp_c") == "temp/-")
    #expect(meaning("nonsense") == nil)
  }

  @Test func unitsOfColumns() throws {
    let registry = try RulesFolder.registry()
    let text = "map: m\ncolumns:\n  t: {key: temp, unit: K}\n  temp_f: {key: temp}\n  g: {key: glucose_mmoll}\n"
    let map = try ColumnMap.parse(text, file: "m", registry: registry)
    func unit(_ name: String) throws -> String {
      let column = try #require(map.columns[name])
      return column.unit < 0 ? "canonical" : registry[column.code].units[column.unit].unit
    }
    #expect(try unit("t") == "K")
    #expect(try unit("temp_f") == "[degF]")
    #expect(try unit("g") == "mmol/L")
  }

  @Test func wrongMaps() throws {
    let registry = try RulesFolder.registry()
    func problems(_ text: String) -> [String] {
      do throws(TextProblems) {
        _ = try ColumnMap.parse(text, file: "m.yaml", registry: registry)
        return []
      } catch {
        return error.all.map(\.description)
      }
    }
    #expect(
      problems("map: m\ncolumns:\n  a: {key: spo}\n  b: {key: temp, unit: Kel}\n  c: {source: x}\nignore: [A, z]\n")
        == [
          "m.yaml:3:12: column `a`: no vital sign is called `spo`; did you mean `spo2`?",
          "m.yaml:4:24: column `b`: temp has no unit `Kel`; did you mean `Cel`?",
          "m.yaml:5:6: column c needs `key`",
        ])
    #expect(
      problems("map: m\ncolumns: {a: {key: hr}, A: {key: hr}}\nignore: [a]\n") == [
        "m.yaml:2:25: column `A` is given twice", "m.yaml:3:10: column `a` is both read and ignored",
      ])
  }
}
