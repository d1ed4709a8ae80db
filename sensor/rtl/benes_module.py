"""A Benes network as Verilog text: structural, with its settings shifted in and put into force at once."""

from sensor.readout_counts import benes_switches


def benes_module(ports: int, bits: int) -> str:
    """Return the text of the module ``benes_network``; the settings are those of :func:`sensor.benes.route`.

    Parameters
    ----------
    ports : int
        Width of the network, 2 or more.
    bits : int
        Bits of each port.
    """
    switches = benes_switches(ports)
    lines: list[str] = []
    outputs = _network([f"in[{p * bits} +: {bits}]" for p in range(ports)], 0, bits, lines)
    joined = ", ".join(reversed(outputs))
    body = "\n".join(lines)
    return f"""// Benes network of {ports} ports of {bits} bits, {switches} switches. Settings are shifted in, first
// switch first, while the ones in force work on; `apply` puts them into force.
`default_nettype none

module benes_network (
    input wire clk,
    input wire shift,
    input wire setting,
    input wire apply,
    input wire [{ports * bits - 1}:0] in,
    output reg [{ports * bits - 1}:0] out
);
    reg [{switches - 1}:0] coming;
    reg [{switches - 1}:0] crossed;
{body}
    always @(posedge clk) begin
        if (shift) coming <= {{setting, coming[{switches - 1}:1]}};
        if (apply) crossed <= coming;
        out <= {{{joined}}};
    end
endmodule

`default_nettype wire
"""


def _network(inputs: list[str], first: int, bits: int, lines: list[str]) -> list[str]:
    """Append the switches from number `first` on, and return the names of the outputs."""
    ports = len(inputs)
    if ports < 2:
        return inputs
    half = ports // 2
    if ports == 2:
        return _switch(inputs[0], inputs[1], first, bits, lines)
    pairs = [_switch(inputs[2 * i], inputs[2 * i + 1], first + i, bits, lines) for i in range(half)]
    middle = first + half + benes_switches(half)
    last = middle + benes_switches(ports - half)
    upper = _network([pair[0] for pair in pairs], first + half, bits, lines)
    lower = _network([pair[1] for pair in pairs] + inputs[2 * half :], middle, bits, lines)
    outputs = [name for i in range(half) for name in _switch(upper[i], lower[i], last + i, bits, lines)]
    return outputs + lower[half:]


def _switch(above: str, below: str, number: int, bits: int, lines: list[str]) -> list[str]:
    """Append one switch and return its two outputs."""
    names = [f"upper_{number}", f"lower_{number}"]
    lines.append(f"    wire [{bits - 1}:0] {names[0]} = crossed[{number}] ? {below} : {above};")
    lines.append(f"    wire [{bits - 1}:0] {names[1]} = crossed[{number}] ? {above} : {below};")
    return names


def benes_bench(ports: int, bits: int, rows: int) -> str:
    """Return a bench that routes so many rows; ``rows.hex``, ``settings.hex``, ``routed.hex``, first port lowest."""
    switches = benes_switches(ports)
    return f"""// Shifts the settings of each row in, and compares what leaves the network with what Python gives.
`timescale 1ns/1ps

module benes_network_tb;
    reg clk = 1'b0, shift = 1'b0, setting = 1'b0, apply = 1'b0;
    reg [{ports * bits - 1}:0] row;
    wire [{ports * bits - 1}:0] out;
    reg [{ports * bits - 1}:0] rows [0:{rows - 1}];
    reg [{ports * bits - 1}:0] routed [0:{rows - 1}];
    reg [{switches - 1}:0] settings [0:{rows - 1}];
    reg [{switches - 1}:0] wanted;
    integer i, s, wrong;

    benes_network benes_network (.clk(clk), .shift(shift), .setting(setting), .apply(apply), .in(row), .out(out));

    initial begin
        wrong = 0;
        $readmemh("rows.hex", rows);
        $readmemh("settings.hex", settings);
        $readmemh("routed.hex", routed);
        for (i = 0; i < {rows}; i = i + 1) begin
            wanted = settings[i];
            row = rows[i];
            shift = 1'b1;
            for (s = 0; s < {switches}; s = s + 1) begin
                setting = wanted[s];
                #5 clk = 1'b1; #5 clk = 1'b0;
            end
            shift = 1'b0;
            apply = 1'b1;
            #5 clk = 1'b1; #5 clk = 1'b0;
            apply = 1'b0;
            #5 clk = 1'b1; #5 clk = 1'b0;
            if (out !== routed[i]) begin
                if (wrong == 0) $display("FAIL row %0d", i);
                wrong = wrong + 1;
            end
        end
        if (wrong == 0) $display("PASS {rows} rows");
        else $display("FAIL %0d of {rows} rows", wrong);
        $finish;
    end
endmodule
"""
