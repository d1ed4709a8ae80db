"""A test bench for the line-buffer shuffle: a whole frame goes through two banks, read in the key's order."""

from sensor.rtl.design import Design, bits_for
from sensor.rtl.test_bench import supplied_order

LINE_BENCH = "line_shuffle_tb"


def line_bench(design: Design, bits: int) -> str:
    """Return a bench that shuffles the frame in ``codes.hex`` and compares it with ``shuffled.hex``.

    One bank fills with the next lines of the sensor, a code a clock, while the other one is read; then they swap.
    """
    slots, size = design.shape[0] * design.shape[1], design.buffer_rows * design.shape[1]
    address_bits = bits_for(size - 1)
    return f"""// Sends a whole frame through the line buffers and compares every code with the one that Python gives.
`timescale 1ns/1ps

module {LINE_BENCH};
    localparam integer SLOTS = {slots}, SIZE = {size};
    reg clk = 1'b0;
    // Codes filled in and taken out, and how many of each until the banks swap.
    integer filled, fill_end, taken, take_end, count, wrong;
    reg delivered;
    wire take = taken < take_end;
{supplied_order(design)}
    wire fill = running && filled < fill_end;
    wire swap = running && filled == fill_end && taken == take_end && taken < SLOTS;
    reg [{bits - 1}:0] codes [0:SLOTS-1];
    reg [{bits - 1}:0] shuffled [0:SLOTS-1];
    wire [{bits - 1}:0] code_out;
    line_buffer #(.SIZE(SIZE), .AB({address_bits}), .BITS({bits})) line_buffer (
        .clk(clk), .reset(!running), .write(fill), .code_in(codes[filled < SLOTS ? filled : 0]), .swap(swap),
        .read_address(memory_address[{address_bits - 1}:0]), .code_out(code_out)
    );

    always #5 clk = !clk;

    always @(posedge clk) begin
        if (fill) filled <= filled + 1;
        if (take && valid) taken <= taken + 1;
        if (swap) begin
            take_end <= fill_end;
            fill_end <= (fill_end + SIZE < SLOTS) ? fill_end + SIZE : SLOTS;
        end
        delivered <= take && valid;
        if (delivered) begin
            if (code_out !== shuffled[count]) begin
                if (wrong == 0) $display("FAIL slot %0d: %0d, not %0d", count, code_out, shuffled[count]);
                wrong <= wrong + 1;
            end
            count <= count + 1;
        end
        if (count == SLOTS) begin
            if (wrong == 0) $display("PASS %0d codes", count);
            else $display("FAIL %0d of %0d codes", wrong, count);
            $finish;
        end
    end

    initial begin
        filled = 0; fill_end = (SIZE < SLOTS) ? SIZE : SLOTS; taken = 0; take_end = 0; count = 0; wrong = 0;
        delivered = 1'b0;
        $readmemh("codes.hex", codes);
        $readmemh("shuffled.hex", shuffled);
    end
endmodule
"""
