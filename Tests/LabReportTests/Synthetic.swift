import CRModel

/// Results made up for tests. Nothing here was measured; the titles say so.
enum Synthetic {
    static let started = "2026-01-02T03:04:05Z"

    static func fingerprint(
        model: Int, brand: String, features: [String], xcr0: UInt64, release: String, probe: [String: String]
    ) -> HostFingerprint {
        HostFingerprint(
            cpu: CPUFingerprint(
                vendor: "GenuineIntel", brand: brand, family: 6, model: model, stepping: 4, features: features,
                xcr0: xcr0, xstateBytes: xcr0 == 0 ? 0 : 832, physicalAddressBits: 40, virtualAddressBits: 48,
                tscKilohertz: 2_400_000),
            kernel: KernelFingerprint(
                release: release, version: "#1 SMP PREEMPT_DYNAMIC Debian (made up)",
                commandLine: "console=ttyS0 panic=-1",
                probe: probe, vdso: "7ad8\(model)c0ffee", vdsoSymbols: ["__vdso_gettimeofday", "__vdso_getcpu"]),
            userland: UserlandFingerprint(
                name: "Debian GNU/Linux 12 (bookworm)", libc: "2.36", diskImage: "sha256-made-up"),
            runtimes: ["native": "0.1.0"], memoryBytes: 536_870_912)
    }

    static let base = [
        "apic", "clflush", "cmov", "cx16", "cx8", "fpu", "fxsr", "lahf_lm", "lm", "mmx", "msr", "nx", "pae", "pge",
        "pni", "popcnt", "pse", "sse", "sse2", "sse4_1", "sse4_2", "ssse3", "syscall", "tsc",
    ]

    static let probe = [
        "clone3": "ok", "pidfd_getfd": "ok", "PTRACE_GET_RSEQ_CONFIGURATION": "ok", "userfaultfd": "EPERM",
    ]

    static func hosts() -> [HostName: HostResult] {
        let avx = base + ["avx", "xsave", "aes", "pclmulqdq"]
        let haswell = avx + ["avx2", "bmi1", "bmi2", "fma", "f16c", "movbe", "rdrand", "erms", "fsgsbase", "smep"]
        var newer = probe
        newer["cachestat"] = "ok"
        newer["userfaultfd"] = "ok"
        let old = "6.1.0-48-amd64"
        let all: [(HostName, String, String, HostFingerprint)] = [
            (
                "haswell", "Haswell", "debian-6.1",
                fingerprint(
                    model: 60, brand: "Intel Core Processor (Haswell)", features: haswell, xcr0: 7, release: old,
                    probe: probe)
            ),
            (
                "haswell-6.12", "Haswell", "debian-6.12",
                fingerprint(
                    model: 60, brand: "Intel Core Processor (Haswell)", features: haswell, xcr0: 7,
                    release: "6.12.73+deb13-amd64", probe: newer)
            ),
            (
                "nehalem", "Nehalem", "debian-6.1",
                fingerprint(
                    model: 26, brand: "Intel Core i7 9xx (Nehalem)", features: base, xcr0: 0, release: old, probe: probe
                )
            ),
            (
                "sandybridge", "SandyBridge", "debian-6.1",
                fingerprint(
                    model: 42, brand: "Intel Xeon E312xx (Sandy Bridge)", features: avx, xcr0: 7, release: old,
                    probe: probe)
            ),
        ]
        var hosts: [HostName: HostResult] = [:]
        for (name, cpu, kernel, print) in all {
            hosts[name] = HostResult(
                spec: HostSpec(name: name, cpu: cpu, kernel: kernel), fingerprint: print,
                packages: ["linux-image-amd64": "\(print.kernel.release) (made up)", "qemu-system-x86": "1:10.0.2"])
        }
        return hosts
    }

    static func cell(
        _ workload: WorkloadName, _ source: HostName, _ destination: HostName, _ outcome: Outcome?,
        stage: Stage? = nil, finding: Finding? = nil, expectation: Expectation? = nil, expected: Bool? = nil,
        health: Health? = nil, console: String = "", seed: Int = 1, runtime: RuntimeName = .native
    ) -> CellResult {
        let cell = Cell(runtime: runtime, workload: workload, source: source, destination: destination)
        return CellResult(
            cell: cell, outcome: outcome, stage: stage, health: health ?? (outcome == nil ? .miss : .ok),
            finding: finding, expectation: expectation, expected: expected, attempts: outcome == nil ? 2 : 1,
            milliseconds: StageTimes(
                dump: 180 + seed * 37 % 240, carry: 20 + seed * 13 % 60,
                restore: stage == .dump ? 0 : 240 + seed * 53 % 400,
                verify: stage == nil || stage == .verify ? 310 + seed * 71 % 900 : 0),
            imageBytes: UInt64(1_048_576 + seed * 77_777 % 9_000_000), consoleTail: console,
            reproduce: "crlab repro synthetic-run \(cell.id)")
    }

    static func instructionMissing(_ workload: WorkloadName, on host: HostName) -> Finding {
        Finding(
            reason: .cpuInstructionMissing, confidence: .supported,
            summary: "vpbroadcastb needs avx2, which \(host) does not have",
            evidence: [
                EvidenceItem(kind: "signal", text: "SIGILL in task 1001 (\(workload)) at 0x7f31c0a4d2e0"),
                EvidenceItem(kind: "instruction", text: "c4 e2 7d 78 c0  vpbroadcastb ymm0, xmm0 (AVX2)"),
                EvidenceItem(
                    kind: "mapping", text: "/usr/lib/x86_64-linux-gnu/libc.so.6 +0x16c2e0, build-id 1b2c3d4e5f60"),
                EvidenceItem(kind: "symbol", text: "__memset_avx2_unaligned_erms+0x0"),
                EvidenceItem(
                    kind: "cpu-difference",
                    text: "\(host) lacks: avx2 bmi1 bmi2 erms f16c fma fsgsbase movbe rdrand smep"),
                EvidenceItem(kind: "control", text: "the control cell haswell to haswell restored and verified"),
            ])
    }

    /// The shape of the quickstart: four hosts, twelve workloads, expected failures, one unexpected, one lab failure.
    static func quickstart() -> Results {
        let hosts = hosts()
        let names = hosts.keys.sorted()
        let latching: Set<WorkloadName> = ["avx2-dispatch", "libc-strings", "bash", "python"]
        let fine = Expectation(
            outcome: .restored, because: "the destination host has everything that the workload uses")
        let latched = Expectation(
            outcome: .broke, reason: .cpuInstructionMissing, because: "picked AVX2 code when it started")
        let sockets = Expectation(
            outcome: .refused, reason: .workloadUnsupported, because: "the native engine does not carry sockets yet",
            expires: "2027-06-30")
        var cells: [CellResult] = []
        var seed = 0
        for workload: WorkloadName in [
            "avx2-dispatch", "bash", "counter", "files", "libc-strings", "memory", "pipes", "python", "redis",
            "signals", "threads", "ymm-live",
        ] {
            for source in names {
                for destination in names {
                    seed += 1
                    let old = destination == "nehalem" || destination == "sandybridge"
                    if workload == "redis" {
                        let finding = Finding(
                            reason: .workloadUnsupported, confidence: .proven,
                            summary: "redis holds a listening TCP socket, which the native engine cannot dump",
                            evidence: [
                                EvidenceItem(
                                    kind: "refusal", text: "fd 6: socket:[9241] of task 1001: sockets are not supported"
                                )
                            ])
                        cells.append(
                            cell(
                                workload, source, destination, .refused, stage: .dump, finding: finding,
                                expectation: sockets,
                                expected: true, seed: seed))
                    } else if latching.contains(workload), source.rawValue.hasPrefix("haswell"), old {
                        cells.append(
                            cell(
                                workload, source, destination, .broke, stage: .verify,
                                finding: instructionMissing(workload, on: destination), expectation: latched,
                                expected: true, seed: seed))
                    } else if workload == "ymm-live", destination == "nehalem", source != "nehalem" {
                        let finding = Finding(
                            reason: .cpuXstateMissing, confidence: .proven,
                            summary: "the image holds YMM registers (XCR0 bit 2), which nehalem cannot hold",
                            evidence: [
                                EvidenceItem(
                                    kind: "refusal", text: "cpu.xstate-missing: task 1001: component 2 (ymm) in use")
                            ])
                        cells.append(
                            cell(
                                workload, source, destination, .refused, stage: .restore, finding: finding,
                                expectation: Expectation(
                                    outcome: .refused, reason: .cpuXstateMissing,
                                    because: "Nehalem has no YMM registers"),
                                expected: true, seed: seed))
                    } else if workload == "signals", source == "haswell-6.12", destination == "haswell" {
                        let finding = Finding(
                            reason: .kernelABIChanged, confidence: .suspected,
                            summary: "haswell (6.1.0-48-amd64) answers EINVAL to a timer that 6.12.73 had given out",
                            evidence: [EvidenceItem(kind: "runtime-log", text: "timer_create(7): EINVAL")])
                        cells.append(
                            cell(
                                workload, source, destination, .broke, stage: .verify, finding: finding,
                                expectation: fine, expected: false, console: "[    2.1] made-up console line",
                                seed: seed))
                    } else if workload == "memory", source == "nehalem", destination == "sandybridge" {
                        let finding = Finding(
                            reason: .harnessChannel, confidence: .proven,
                            summary: "the guest stopped answering after 30 s",
                            evidence: [])
                        cells.append(
                            cell(
                                workload, source, destination, nil, stage: .restore, finding: finding,
                                expectation: fine,
                                console:
                                    "[   12.000001] watchdog: BUG: soft lockup - CPU#0 stuck for 22s!\n[   12.1] made up",
                                seed: seed))
                    } else {
                        cells.append(
                            cell(
                                workload, source, destination, .restored, expectation: fine, expected: true, seed: seed)
                        )
                    }
                }
            }
        }
        return results("Made-up numbers: three CPU classes and two kernels", hosts, cells)
    }

    static func results(_ title: String, _ hosts: [HostName: HostResult], _ cells: [CellResult]) -> Results {
        Results(
            run: RunSummary(
                id: "synthetic-run", scenario: "synthetic", title: title, startedAt: started, durationSeconds: 287.4,
                crlabVersion: "0.1.0", accelerator: "tcg", qemuVersion: "10.0.2", boots: 9, counts: RunCounts(cells)),
            hosts: hosts, cells: cells)
    }

    /// One of each: restored, refused, broke, lab failure, unexpected, a host not to be had, a planted fault.
    static func rich() -> Results {
        var hosts = hosts()
        hosts["gone"] = HostResult(
            spec: HostSpec(name: "gone", cpu: "Haswell", kernel: "debian-4.19", kernelArguments: ["quiet"]),
            fingerprint: nil,
            unavailable: LabFailure(
                reason: .harnessUnavailable, summary: "the mirror no longer holds suite buster", consoleTail: ""))
        var results = quickstart()
        results.cells = results.cells.filter { ["redis", "bash", "memory", "signals"].contains($0.cell.workload) }
        results.cells[0].label = FaultLabel(category: .cpu, reason: .cpuInstructionMissing)
        let gone = Finding(
            reason: .harnessUnavailable, confidence: .proven, summary: "the mirror no longer holds suite buster",
            evidence: [])
        results.cells.append(cell("bash", "haswell", "gone", nil, finding: gone))
        results.cells[1].confirmation = Confirmation(restored: 1, broke: 2)
        var made = self.results("Made-up numbers: one of each", hosts, results.cells)
        made.controls = [
            ControlResult(
                kind: .knownFault, runtime: .native, host: "haswell", passed: true,
                summary: "an image that is cut in half was refused"),
            ControlResult(
                kind: .knownFault, runtime: .native, host: "nehalem", passed: false,
                summary: "an image that is cut in half was taken for whole"),
            ControlResult(
                kind: .workloadAlone, workload: "bash", host: "nehalem", passed: false,
                summary: "it does not work there even with neither dump nor restore"),
            ControlResult(
                kind: .workloadAlone, workload: "redis", host: "nehalem", passed: nil,
                summary: "the lab could not find out whether it works there"),
        ]
        return made
    }

    /// What a workload or a guest could write to break a report.
    static let hostile =
        "</script><script>alert(1)</script><!--]]>&\"'`|*_[x](y)\u{0}\u{7}\u{1b}[31m\"\u{301}\u{202e}\u{2028}\u{fffe}\r\n<b>"

    static func hostileResults() -> Results {
        var results = rich()
        results.run.title = hostile
        results.run.scenario = hostile
        results.run.qemuVersion = hostile
        for index in results.cells.indices {
            results.cells[index].consoleTail = hostile
            results.cells[index].reproduce = hostile
            results.cells[index].cell.workload = WorkloadName(hostile)
            results.cells[index].cell.destination = HostName(results.cells[index].cell.destination.rawValue + hostile)
            results.cells[index].finding?.summary = hostile
            results.cells[index].finding?.remedy = hostile
            results.cells[index].finding?.evidence = [EvidenceItem(kind: hostile, text: hostile)]
            results.cells[index].expectation?.because = hostile
        }
        for index in results.controls.indices {
            results.controls[index].host = HostName(hostile)
            results.controls[index].summary = hostile
        }
        for name in results.hosts.keys {
            results.hosts[name]?.cpuModel = hostile
            results.hosts[name]?.userland = hostile
            results.hosts[name]?.fingerprint?.cpu.brand = hostile
            results.hosts[name]?.fingerprint?.kernel.release = hostile
            results.hosts[name]?.unavailable?.summary = hostile
        }
        return results
    }

    /// As large as the page has to carry: 20 workloads, 2 runtimes, hosts × hosts, a third of the cells failed, each
    /// with evidence of its own.
    static func large(cells count: Int = 20_000) -> Results {
        let template = hosts()
        let models = ["haswell", "nehalem", "sandybridge", "haswell-6.12"].compactMap { template[HostName($0)] }
        var hosts: [HostName: HostResult] = [:]
        let side = 23
        for index in 0..<side {
            var host = models[index % models.count]
            host.spec.name = HostName("host-\(index < 10 ? "0" : "")\(index)")
            hosts[host.spec.name] = host
        }
        let names = hosts.keys.sorted()
        var cells: [CellResult] = []
        cells.reserveCapacity(count)
        let fine = Expectation(outcome: .restored, because: "made up")
        var seed = 0
        outer: for workload in 0..<20 {
            for runtime: RuntimeName in ["native", "criu"] {
                for source in names {
                    for destination in names {
                        seed += 1
                        if seed > count { break outer }
                        let name = WorkloadName("workload-\(workload < 10 ? "0" : "")\(workload)")
                        if seed % 3 == 0, source != destination {
                            var finding = instructionMissing(name, on: destination)
                            finding.evidence[0].text += " attempt \(seed)"
                            cells.append(
                                cell(
                                    name, source, destination, seed % 2 == 0 ? .broke : .refused, stage: .verify,
                                    finding: finding, expectation: fine, expected: seed % 11 != 0, seed: seed,
                                    runtime: runtime))
                        } else {
                            cells.append(
                                cell(
                                    name, source, destination, .restored, expectation: fine, expected: true, seed: seed,
                                    runtime: runtime))
                        }
                    }
                }
            }
        }
        return results("Made-up numbers: a large run", hosts, cells)
    }
}
