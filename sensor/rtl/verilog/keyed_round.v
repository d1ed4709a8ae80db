// One round of the keyed bijection on the digits (high, low) of an address, and the register behind it.
// The equations are those of scrambler/feistel.py; offsets come scaled to their radix.
`default_nettype none

module keyed_round #(
    parameter [16:0] HIGH = 17'd4,
    parameter [16:0] LOW = 17'd5,
    parameter [16:0] REST = 17'd0,
    parameter integer HB = 3,
    parameter integer LB = 3,
    parameter integer ODD = 0,
    parameter integer MOVES = 1,
    parameter integer LIGHT = 0
) (
    input wire clk,
    input wire enable,
    input wire [HB-1:0] high_in,
    input wire [LB-1:0] low_in,
    input wire [31:0] k0,
    input wire [31:0] k1,
    input wire [HB-1:0] offset_high,
    input wire [LB-1:0] offset_low,
    output reg [HB-1:0] high_out,
    output reg [LB-1:0] low_out
);
    localparam [16:0] MODULUS = (ODD != 0) ? LOW : HIGH;

    wire [16:0] high = {{(17-HB){1'b0}}, high_in};
    wire [16:0] low = {{(17-LB){1'b0}}, low_in};

    // The offset, modulo the size of the domain.
    wire [16:0] moved_high;
    wire [16:0] moved_low;
    generate
        if (MOVES != 0) begin : move
            wire [16:0] low_sum = low + {{(17-LB){1'b0}}, offset_low};
            wire carry = low_sum >= LOW;
            wire [16:0] low_wrapped = carry ? low_sum - LOW : low_sum;
            wire [16:0] high_sum = high + {{(17-HB){1'b0}}, offset_high} + {16'b0, carry};
            wire over = (high_sum > HIGH) || ((high_sum == HIGH) && (low_wrapped >= REST));
            wire borrow = low_wrapped < REST;
            assign moved_low = !over ? low_wrapped : borrow ? low_wrapped + LOW - REST : low_wrapped - REST;
            assign moved_high = !over ? high_sum : high_sum - HIGH - {16'b0, borrow};
        end else begin : stay
            assign moved_low = low;
            assign moved_high = high;
        end
    endgenerate

    // The round function of one digit, scaled to the radix of the other.
    wire [16:0] from = (ODD != 0) ? moved_high : moved_low;
    wire [16:0] to = (ODD != 0) ? moved_low : moved_high;
    wire [16:0] step;
    generate
        if (LIGHT != 0) begin : light_round
            wire [15:0] a = from[15:0] + k0[15:0];
            wire [15:0] b = a + (a << 8) + (a << 15);
            wire [15:0] c = b ^ (b >> 7);
            wire [15:0] d = c + k1[15:0];
            wire [15:0] e = d + (d << 5);
            wire [15:0] f = e ^ (e >> 9);
            wire [32:0] product = {17'b0, f[7:0], f[15:8]} * {16'b0, MODULUS};
            assign step = product[32:16];
        end else begin : full_round
            wire [31:0] a = {15'b0, from} + k0;
            wire [31:0] b = ~a + (a << 15);
            wire [31:0] c = b ^ (b >> 12);
            wire [31:0] d = c + k1;
            wire [31:0] e = d + (d << 2);
            wire [31:0] f = e ^ (e >> 4);
            wire [31:0] g = f + (f << 3) + (f << 11);
            wire [31:0] h = g ^ (g >> 16);
            wire [48:0] product = {17'b0, h[15:0], h[31:16]} * {32'b0, MODULUS};
            assign step = product[48:32];
        end
    endgenerate

    wire [16:0] sum = to + step;
    wire [16:0] stepped = (sum >= MODULUS) ? sum - MODULUS : sum;
    // Addresses left over (high digit at its radix) stay.
    wire [16:0] new_to = (moved_high < HIGH) ? stepped : to;
    wire [16:0] new_high = (ODD != 0) ? moved_high : new_to;
    wire [16:0] new_low = (ODD != 0) ? new_to : moved_low;

    always @(posedge clk) if (enable) begin
        high_out <= new_high[HB-1:0];
        low_out <= new_low[LB-1:0];
    end
endmodule

`default_nettype wire
